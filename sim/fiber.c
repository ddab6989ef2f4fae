/* fiber.c - see fiber.h. */
#define _GNU_SOURCE
#include "sim/fiber.h"

#include "base/ck.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define STACK_DEFAULT ((size_t)1024 * 1024) /* instrumented frames are several times larger */
#else
#define STACK_DEFAULT ((size_t)256 * 1024)
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__) || defined(__aarch64__)
#define FIBER_ASM 1
typedef void *fiber_context; /* a saved stack pointer */
#else
#include <ucontext.h>
typedef ucontext_t fiber_context;
#endif

struct fiber {
    fiber_context own;  /* while suspended */
    fiber_context host; /* while running: where to go back to */
    void (*run)(void *arg);
    void *arg;
    bool done;
    unsigned char *map; /* guard page, then the stack */
    size_t map_size;
    struct fiber *next; /* in the pool */
#ifdef FIBER_ASAN
    void *fake;      /* this fiber's fake stack while it is suspended */
    void *host_fake; /* the host's while the fiber runs */
    const void *host_bottom;
    size_t host_size;
#endif
#ifdef FIBER_TSAN
    void *tsan;
    void *host_tsan;
#endif
};

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- the switch ---- */

#ifdef FIBER_ASM
/* Saves the callee-saved registers on the present stack, its pointer in *save, and continues on
 * the stack `load`. */
void fiber_swap(void **save, void *load);
void fiber_entry(void);

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl fiber_swap\n"
        ".type fiber_swap,@function\n"
        "fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_swap,.-fiber_swap\n"
        ".globl fiber_entry\n"
        ".type fiber_entry,@function\n"
        "fiber_entry:\n" /* first switch in: rbx holds the fiber */
        "    movq %rbx, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    call fiber_main@PLT\n"
        "    ud2\n"
        ".size fiber_entry,.-fiber_entry\n"
        ".section .note.GNU-stack,\"\",@progbits\n"
        ".text\n");
#define FRAME_WORDS 9 /* r15 r14 r13 r12 rbx rbp return, and two that align the first call */
#define FRAME_ARG   4
#define FRAME_PC    6
#else
__asm__(".text\n"
        ".globl fiber_swap\n"
        ".type fiber_swap,%function\n"
        "fiber_swap:\n"
        "    stp x19, x20, [sp, #-160]!\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    ldp x19, x20, [sp], #160\n"
        "    ret\n"
        ".size fiber_swap,.-fiber_swap\n"
        ".globl fiber_entry\n"
        ".type fiber_entry,%function\n"
        "fiber_entry:\n" /* first switch in: x19 holds the fiber */
        "    mov x0, x19\n"
        "    mov x29, #0\n"
        "    bl fiber_main\n"
        "    brk #1\n"
        ".size fiber_entry,.-fiber_entry\n"
        ".section .note.GNU-stack,\"\",%progbits\n"
        ".text\n");
#define FRAME_WORDS 20
#define FRAME_ARG   0  /* x19 */
#define FRAME_PC    11 /* x30 */
#endif

static void context_swap(fiber_context *save, fiber_context *load)
{
    fiber_swap(save, *load);
}

_Noreturn void fiber_main(struct fiber *f);

static void context_make(struct fiber *f, unsigned char *stack, size_t size)
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    uintptr_t *frame = (uintptr_t *)top - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[FRAME_ARG] = (uintptr_t)f;
    frame[FRAME_PC] = (uintptr_t)fiber_entry;
    f->own = frame;
}
#else
static void context_swap(fiber_context *save, fiber_context *load)
{
    int r = swapcontext(save, load);
    CK(r == 0);
}

_Noreturn void fiber_main(struct fiber *f);

static void context_start(unsigned high, unsigned low)
{
    fiber_main((struct fiber *)((uintptr_t)high << 32 | low));
}

static void context_make(struct fiber *f, unsigned char *stack, size_t size)
{
    int r = getcontext(&f->own);
    CK(r == 0);
    f->own.uc_stack.ss_sp = stack;
    f->own.uc_stack.ss_size = size;
    f->own.uc_link = NULL;
    uintptr_t at = (uintptr_t)f;
    makecontext(&f->own, (void (*)(void))context_start, 2, (unsigned)(at >> 32), (unsigned)at);
}
#endif

/* ---- both directions, with the sanitizers told ---- */

static void switch_in(struct fiber *f)
{
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(&f->host_fake, f->map + page_size(), f->map_size - page_size());
#endif
#ifdef FIBER_TSAN
    f->host_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    context_swap(&f->host, &f->own);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(f->host_fake, NULL, NULL);
#endif
}

static void switch_out(struct fiber *f)
{
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(f->done ? NULL : &f->fake, f->host_bottom, f->host_size);
#endif
#ifdef FIBER_TSAN
    __tsan_switch_to_fiber(f->host_tsan, 0);
#endif
    context_swap(&f->own, &f->host);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(f->fake, &f->host_bottom, &f->host_size);
#endif
}

_Noreturn void fiber_main(struct fiber *f)
{
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(NULL, &f->host_bottom, &f->host_size);
#endif
    f->run(f->arg);
    f->done = true;
    switch_out(f);
    CK(!"a finished fiber was resumed");
    __builtin_unreachable();
}

bool fiber_resume(struct fiber *f)
{
    CK(!f->done);
    switch_in(f);
    return !f->done;
}

void fiber_suspend(struct fiber *f)
{
    switch_out(f);
}

/* A fiber that is freed where it stands never says that it ends: its fake stack is made the
 * current one, without a switch, and then given up as a fiber's that ends would be. Calls nothing
 * instrumented in between. */
static void sanitizer_forget(struct fiber *f)
{
#ifdef FIBER_ASAN
    unsigned char *stack = f->map + page_size();
    if (!f->done && f->fake != NULL) {
        size_t size = f->map_size - page_size();
        const void *host_bottom;
        size_t host_size;
        void *host_fake;
        __sanitizer_start_switch_fiber(&host_fake, stack, size);
        __sanitizer_finish_switch_fiber(f->fake, &host_bottom, &host_size);
        __sanitizer_start_switch_fiber(NULL, host_bottom, host_size);
        __sanitizer_finish_switch_fiber(host_fake, NULL, NULL);
    }
    __asan_unpoison_memory_region(stack, (size_t)((unsigned char *)f - stack));
#endif
#ifdef FIBER_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
    (void)f;
}

/* ---- stacks ---- */

void fiber_pool_init(struct fiber_pool *p, size_t stack_size)
{
    *p = (struct fiber_pool){.stack_size = stack_size == 0 ? STACK_DEFAULT : stack_size};
}

void fiber_pool_release(struct fiber_pool *p)
{
    CK(p->live == 0);
    while (p->idle != NULL) {
        struct fiber *f = p->idle;
        p->idle = f->next;
        unsigned char *map = f->map;
        size_t size = f->map_size;
        int r = munmap(map, size);
        CK(r == 0);
    }
}

/* A new stack with the struct fiber at its very top. */
static struct fiber *stack_map(size_t stack_size)
{
    size_t page = page_size();
    size_t size = page + (stack_size + sizeof(struct fiber) + page - 1) / page * page;
    unsigned char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(map, page, PROT_NONE) != 0) {
        (void)munmap(map, size); /* nothing better to do on this path */
        return NULL;
    }
    struct fiber *f = (struct fiber *)(void *)(map + size - (sizeof *f + 63) / 64 * 64);
    f->map = map;
    f->map_size = size;
    return f;
}

enum status fiber_new(struct fiber_pool *p, void (*run)(void *arg), void *arg, struct fiber **out)
{
    struct fiber *f = p->idle;
    if (f != NULL) {
        p->idle = f->next;
    } else {
        f = stack_map(p->stack_size);
        if (f == NULL) {
            return ST_NOMEM;
        }
    }
    unsigned char *map = f->map;
    size_t map_size = f->map_size;
    *f = (struct fiber){.map = map, .map_size = map_size, .run = run, .arg = arg};
    unsigned char *stack = map + page_size();
    context_make(f, stack, (size_t)((unsigned char *)f - stack));
#ifdef FIBER_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    p->live++;
    *out = f;
    return ST_OK;
}

void fiber_free(struct fiber_pool *p, struct fiber *f)
{
    if (f == NULL) {
        return;
    }
    sanitizer_forget(f);
    CK(p->live > 0);
    p->live--;
    f->next = p->idle;
    p->idle = f;
}
