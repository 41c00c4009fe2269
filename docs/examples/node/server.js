// word-count: counts words, of a text that it is given or of a file that it reads in its caller's name.
'use strict'

const { Hand } = require('./maniple.js')

function words (text, stopWords) {
  const all = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || []
  return all.filter(word => !stopWords.includes(word))
}

new Hand({ // eslint-disable-line no-new
  async 'word-count.text' (call, { text, most = 3 }) {
    const counts = new Map()
    const found = words(text, this.settings.stop_words)
    for (const word of found) counts.set(word, (counts.get(word) || 0) + 1)
    const frequent = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, most)
    return { words: found.length, frequent: frequent.map(([word, times]) => ({ word, times })) }
  },

  async 'word-count.file' (call) {
    const pieces = []
    for await (const piece of call.stream('files.read', call.resource)) pieces.push(piece)
    const lines = Buffer.concat(pieces).toString('utf8').split('\n').filter(line => line !== '')
    let total = 0
    for (const line of lines) {
      const count = words(line, this.settings.stop_words).length
      total += count
      call.send(Buffer.from(`${count} ${line}\n`))
    }
    this.log('counted', { file: call.resource, words: total })
    return { words: total, lines: lines.length }
  }
})
