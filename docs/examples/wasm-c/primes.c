/* A task in C, without a C library: how many primes are there below n? Its input is {"n": …}, its answer {"primes": …}.

       clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o primes.wasm primes.c
*/
#include "maniple.h"

#define PAGE 65536u

static uint8_t *free_from;

/* Memory from the end of what the program holds; one instance answers one call, so nothing is given back. */
static void *take(uint32_t size) {
    extern uint8_t __heap_base;
    if (!free_from) free_from = &__heap_base;
    uint8_t *at = free_from;
    uint32_t end = (uint32_t)(uintptr_t)at + size, have = __builtin_wasm_memory_size(0) * PAGE;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (__SIZE_TYPE__)-1) return 0;
    free_from += (size + 7) & ~7u;
    return at;
}

EXPORT("maniple_alloc") void *maniple_alloc(uint32_t size) { return take(size); }

#define FAIL(code, text) maniple_fail(code, sizeof code - 1, text, sizeof text - 1)

/* The unsigned number at p, in any of msgpack's widths; p moves behind it. */
static uint32_t number(const uint8_t **p, const uint8_t *end) {
    uint32_t value = 0, width = 0;
    uint8_t kind = *p < end ? *(*p)++ : 0xc1;
    if (kind < 0x80) return kind;
    if (kind == 0xcc) width = 1;
    if (kind == 0xcd) width = 2;
    if (kind == 0xce) width = 4;
    if (!width || *p + width > end) FAIL("arguments", "n must be a whole number below 2^32");
    while (width--) value = value << 8 | *(*p)++;
    return value;
}

static uint32_t primes_below(uint32_t n) {
    uint8_t *composite = take(n);
    uint32_t count = 0;
    if (!composite) FAIL("memory", "there is no room for so many numbers");
    for (uint32_t i = 2; i < n; i++) {
        if (composite[i]) continue;
        count++;
        for (uint64_t j = (uint64_t)i * i; j < n; j += i) composite[j] = 1;
    }
    return count;
}

EXPORT("run") uint64_t run(const uint8_t *at, uint32_t size) {
    const uint8_t *p = at, *end = at + size;
    if (size < 4 || p[0] != 0x81 || p[1] != 0xa1 || p[2] != 'n') FAIL("arguments", "give one argument, n");
    p += 3;
    uint32_t count = primes_below(number(&p, end));
    static uint8_t answer[13] = {0x81, 0xa6, 'p', 'r', 'i', 'm', 'e', 's', 0xce};
    for (int i = 0; i < 4; i++) answer[9 + i] = count >> (24 - 8 * i);
    maniple_log(MANIPLE_INFO, "counted", 7);
    return maniple_answer(answer, sizeof answer);
}
