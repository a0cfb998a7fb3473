/* Which functions of a program run, in the order of their first call; called by cross/order.
   usage: order OUT ADDRESSES parent|child COMMAND...   ADDRESSES has a function's hexadecimal address on each line.
   OUT gets an address for each call seen, after lines that say where a new stretch begins: `exec` (the program begins), `forget` (it gives
   the pages of its code back), `child` (from here on it is the child's calls). Each function has a breakpoint, which goes when it is hit. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 20000
static unsigned long at[MOST];
static unsigned char code[MOST], is_set[MOST];
static int count;

static int compare(const void *a, const void *b) {
    unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;
    return (x > y) - (x < y);
}

/* Writes a byte of the program, and returns what was there. */
static unsigned char put(pid_t pid, unsigned long address, unsigned char byte) {
    unsigned long word = address & ~7UL, shift = (address & 7) * 8;
    errno = 0;
    unsigned long held = ptrace(PTRACE_PEEKTEXT, pid, word, 0);
    if (errno) return 0;
    ptrace(PTRACE_POKETEXT, pid, word, (held & ~(0xffUL << shift)) | (unsigned long)byte << shift);
    return held >> shift;
}

static void set_all(pid_t pid) {
    for (int i = 0; i < count; i++) code[i] = put(pid, at[i], 0xcc), is_set[i] = 1;
}

/* A process made by the traced one has its breakpoints; here they go, and stay noted for the one that goes on. */
static void release(pid_t pid) {
    for (int i = 0; i < count; i++) if (is_set[i]) put(pid, at[i], code[i]);
    ptrace(PTRACE_DETACH, pid, 0, 0);
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    int wants_child = !strcmp(argv[3], "child"), status, signal = 0;
    FILE *out = fopen(argv[1], "w"), *list = fopen(argv[2], "r");
    if (!out || !list) return 2;
    while (count < MOST && fscanf(list, "%lx", &at[count]) == 1) count++;
    qsort(at, count, sizeof *at, compare);
    pid_t pid = fork();
    if (!pid) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[4], argv + 4);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status)) return 1;
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL);
    fprintf(out, "exec\n");
    set_all(pid);
    for (;;) {
        struct user_regs_struct registers;
        ptrace(PTRACE_SYSCALL, pid, 0, signal);
        signal = 0;
        if (waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status)) break;
        int stop = WSTOPSIG(status), event = status >> 16;
        ptrace(PTRACE_GETREGS, pid, 0, &registers);
        if (event == PTRACE_EVENT_EXEC) {
            fprintf(out, "exec\n");
            set_all(pid); /* the sealed copy; the container's program, elsewhere in memory, is not looked at */
        } else if (event) {
            unsigned long child;
            ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
            waitpid(child, &status, __WALL);
            release(wants_child ? pid : (pid_t)child);
            if (!wants_child) continue;
            pid = child;
            fprintf(out, "child\n");
            for (int i = 0; i < count; i++) if (!is_set[i]) put(pid, at[i], 0xcc), is_set[i] = 1;
        } else if (stop == (SIGTRAP | 0x80)) {
            int gives_back = registers.orig_rax == SYS_madvise && (long)registers.rax != -ENOSYS && registers.rdi <= at[0] && at[0] < registers.rdi + registers.rsi;
            if (!gives_back) continue;
            fprintf(out, "forget\n"); /* and with the pages went the breakpoints */
            set_all(pid);
        } else if (stop == SIGTRAP) {
            unsigned long address = registers.rip - 1, *found = bsearch(&address, at, count, sizeof *at, compare);
            if (!found) continue;
            put(pid, address, code[found - at]);
            is_set[found - at] = 0;
            registers.rip = address;
            ptrace(PTRACE_SETREGS, pid, 0, &registers);
            fprintf(out, "%lx\n", address);
        } else {
            signal = stop;
        }
    }
    return fclose(out) ? 1 : 0;
}
