"""The languages with stemming, their function words, and detection of a text's language (pure: one table).

A row is a language: the name of its Snowball stemmer, and its function words. These serve twice: a text is in the language
of which it has most of them, and they are left out of questions. The lists are shortened from those of the Snowball project
(BSD licence, snowballstem.org). To add a language: a row.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

DEFAULT: Final = "english"
LEAST: Final = 2
"""A text with fewer function words than this of another language counts as DEFAULT."""

UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
"""Scripts without spaces between words, or with endings attached to them; as the content of a character class."""

_ENGLISH: Final = """
a about above after again against all am an and any are aren't as at be because been before being below between both but by
can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from further had hadn't has
hasn't have haven't having he he'd he'll he's her here here's hers herself him himself his how how's i i'd i'll i'm i've if
in into is isn't it it's its itself let's me more most my myself no nor not of off on once only or other ought our ours
ourselves out over own same she she'd she'll she's should shouldn't so some such than that that's the their theirs them
themselves then there there's these they they'd they'll they're they've this those through to too under until up very was
wasn't we we'd we'll we're we've were weren't what what's when when's where where's which while who who's whom why why's
will with won't would wouldn't you you'd you'll you're you've your yours yourself yourselves s t d ll m re ve
"""
_GERMAN: Final = """
aber alle allem allen aller als also am an ander andere anderen auch auf aus bei bin bis bist da damit dann das dass dein
deine dem den denn der des dich die dies diese diesem diesen dieser dieses dir doch dort du durch ein eine einem einen
einer eines er es etwas euch euer für gegen hab habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre
ihrem ihren ihrer im in ins ist jede jedem jeden jeder jedes jetzt kann können könnte man manche mein meine meinem meinen
meiner mich mir mit muss nach nicht noch nun nur ob oder ohne sehr sein seine seinem seinen seiner selbst sich sie sind so
solche soll sollte sondern sonst über um und uns unser unsere unter viel vom von vor war waren warst was weil welche
welcher wenn wer werde werden wie wieder will wir wird wo wollen würde würden zu zum zur zwar zwischen
"""
_FRENCH: Final = """
ai aie as au aux avait avec avez avoir avons c ce ceci cela ces cet cette chez comme d dans de des donc du elle elles en
est et étaient était été être eu eux fut ici il ils j je l la le les leur leurs lui m ma mais me même mes moi mon n ne nos
notre nous on ont ou où par pas plus pour qu quand que quel quelle quels qui s sa sans ses soit son sont sur t ta te tes
toi ton tu un une vos votre vous y à
"""
_SPANISH: Final = """
a al algo ante antes como con contra cual cuando de del desde donde durante e el él ella ellas ellos en entre era eran es
esa ese eso esta está estaba están este esto fue fueron ha había han hasta hay la las le les lo los más me mi mis mucho muy
nada ni no nos nosotros nuestra nuestro o os otra otro para pero poco por porque que qué quien se sea ser si sí sido sin
sobre son su sus también te tiene tienen todo todos tu tus un una uno unos y ya yo
"""
_ITALIAN: Final = """
a ad agli ai al alla alle allo anche avere c che chi ci come con contro cui da dai dal dalla dalle dei del della delle
dello di dove e è ed era erano essere fu gli ha hai hanno ho i il in io la le lei li lo loro lui ma mi mia mie miei mio ne
negli nei nel nella nelle noi non nostra nostro o per perché più quale quando quella quelle quelli quello questa queste
questi questo se sei si sia siamo sono sta su sua sue sugli sui sul sulla suo suoi ti tra tu tua tuo un una uno vi voi
"""
_PORTUGUESE: Final = """
a ao aos as às até com como da das de dela dele deles do dos e é ela elas ele eles em entre era essa esse esta está estão
este eu foi foram há isso isto já lhe mais mas me mesmo meu minha muito na não nas nem no nos nós nossa nosso num numa o os
ou para pela pelas pelo pelos por qual quando que quem são se seja sem ser seu seus só sua suas também te tem têm tinha um
uma você
"""
_DUTCH: Final = """
aan al alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door dus een eens en er ge geen had heb
hebben heeft hem het hier hij hoe hun iemand iets ik in is ja je kan kon kunnen maar me meer men met mij mijn moet na naar
niet niets nog nu of om omdat ons ook op over reeds te tegen toch toen tot u uit uw van veel voor want waren was wat werd
wie wij wil worden wordt zal ze zich zij zijn zo zou
"""
_SWEDISH: Final = """
alla allt att av blev bli blir då där de dem den denna deras dess det detta dig din du efter ej eller en er ett för från ha
hade han hans har hennes här hon hur i icke ingen inom inte jag ju kan kunde man med mellan men mig min mot mycket när ni
nu någon något några och om oss på samma sedan sig sin sitta själv skulle som så till under upp ut utan vad var vara varför
varit vars vem vi vid är åt över
"""
_DANISH: Final = """
ad af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig din disse du efter eller en end er et
for fra ham han hans har havde hende her hos hun hvad hvis hvor i ikke ind jeg jer jo kunne man mange med meget men mig min
mod ned noget nogle nu når og også om op os over på selv sig sin skal skulle som sådan til ud under var vi vil ville vor
være været
"""
_NORWEGIAN: Final = """
alle at av begge ble blei bli blir både da de deg dem den denne der dere det dette di din disse du eller en enn er et ett
etter for fordi fra før ha hadde han hans har hennes her hun hva hvem hver hvor hvordan hvorfor i ikke ingen inn jeg kan
kom kunne man mange med meg meget mellom men mer mitt mot mye noe noen nå når og også om opp oss over på samme seg selv sin
skal skulle slik som så til um under ut uten var ved vi vil ville være vært vår
"""
_FINNISH: Final = """
ei eivät en että he hän häntä hänen ja jo joka jos jossa jotka ja johon joita jota kanssa koska kuin kuka kun me meidän
minkä minun minä minulla mitkä mitä mikä missä mukaan mutta myös ne niiden niin niitä noin nyt nämä näiden olen olet oli
olisi olivat olla ole ollut on ovat se sekä sen siellä siinä siitä sinun sinä sitä tai te teidän tuo tämä tämän tässä vai
vain vaikka yli
"""
_RUSSIAN: Final = """
а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да даже для до его ее её если есть еще
ещё же за здесь и из или им их к как ко когда кто ли либо мне может мы на надо наш не него нее нет ни них но ну о об однако
он она они оно от очень по под при с со так также такой там те тем то того тоже той только том ты у уже хотя чего чей чем
что чтобы чье эта эти это я
"""


def _row(text: str) -> frozenset[str]:
    return frozenset(text.split())


LANGUAGES: Final = MappingProxyType(
    {
        "english": _row(_ENGLISH),
        "german": _row(_GERMAN),
        "french": _row(_FRENCH),
        "spanish": _row(_SPANISH),
        "italian": _row(_ITALIAN),
        "portuguese": _row(_PORTUGUESE),
        "dutch": _row(_DUTCH),
        "swedish": _row(_SWEDISH),
        "danish": _row(_DANISH),
        "norwegian": _row(_NORWEGIAN),
        "finnish": _row(_FINNISH),
        "russian": _row(_RUSSIAN),
    }
)


def language(words: Iterable[str]) -> str:
    """Return the language with the most function words among these lower-case words; DEFAULT if there are too few."""
    counts = dict.fromkeys(LANGUAGES, 0)
    for word in words:
        for name, function_words in LANGUAGES.items():
            counts[name] += word in function_words
    found = max(counts, key=lambda name: counts[name])
    return found if counts[found] >= max(LEAST, counts[DEFAULT] + 1) else DEFAULT
