/* What a WASM Hand in C needs of Maniple: the imports, the export every module must have, and how to give an answer.
   Bodies are msgpack (https://msgpack.org/); docs/wasm.md says the rest. */
#ifndef MANIPLE_H
#define MANIPLE_H

#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("maniple"), import_name(name)))

enum maniple_end { MANIPLE_DONE, MANIPLE_FAILED, MANIPLE_REFUSED, MANIPLE_CANCELLED };
enum maniple_level { MANIPLE_INFO, MANIPLE_WARNING, MANIPLE_ERROR };

struct maniple_bytes {
    uint8_t *at;
    uint32_t size;
};

IMPORT("call")
int32_t maniple_call(const char *method, uint32_t method_size, const char *resource, uint32_t resource_size,
                     const void *arguments, uint32_t size, struct maniple_bytes *reply);
IMPORT("log") void maniple_log(int32_t level, const char *text, uint32_t size);
IMPORT("now") int64_t maniple_now(void);
IMPORT("random") void maniple_random(void *at, uint32_t size);
IMPORT("fail")
void maniple_fail(const char *code, uint32_t code_size, const char *text, uint32_t text_size);

/* An answer: its address in the upper half, its size in the lower. */
static inline uint64_t maniple_answer(const void *at, uint32_t size) {
    return (uint64_t)(uintptr_t)at << 32 | size;
}

#endif
