;; A service in WebAssembly text. Two methods: one gives its arguments back, one makes a call of its own.
(module
  (import "maniple" "call" (func $call (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "maniple" "log" (func $log (param i32 i32 i32)))
  (import "maniple" "fail" (func $fail (param i32 i32 i32 i32)))

  (memory (export "memory") 4)

  (data (i32.const 0) "web.fetch")
  (data (i32.const 16) "fetched")
  (data (i32.const 32) "no-page")
  (data (i32.const 48) "the page did not come")

  ;; Room for what the host gives: one instance answers one call, so nothing is ever given back.
  (global $free (mut i32) (i32.const 4096))
  (func (export "maniple_alloc") (param $size i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (global.get $free))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
      (then
        (if (i32.eq (i32.const -1)
                    (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))
          (then (return (i32.const 0))))))
    (global.set $free (local.get $end))
    (local.get $at))

  ;; An answer is its address × 2³² + its size.
  (func $answer (param $at i32) (param $size i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
            (i64.extend_i32_u (local.get $size))))

  ;; page.echo: the arguments are msgpack already.
  (func (export "echo") (param $resource i32) (param $resource_size i32) (param $at i32) (param $size i32) (result i64)
    (call $answer (local.get $at) (local.get $size)))

  ;; page.read: call web.fetch on the resource that the kernel checked, and give back what came.
  (func (export "read") (param $resource i32) (param $resource_size i32) (param $at i32) (param $size i32) (result i64)
    (if (call $call (i32.const 0) (i32.const 9)
                    (local.get $resource) (local.get $resource_size)
                    (i32.const 0) (i32.const 0)      ;; no arguments
                    (i32.const 128))                 ;; where the reply's address and size go
      (then
        (call $fail (i32.const 32) (i32.const 7) (i32.const 48) (i32.const 21))))
    (call $log (i32.const 0) (i32.const 16) (i32.const 7))
    (call $answer (i32.load (i32.const 128)) (i32.load (i32.const 132)))))
