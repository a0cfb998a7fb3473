// Preloaded into crun 1.8 where root may not raise RLIMIT_MEMLOCK: since Linux 5.11 its eBPF program does not need that, but crun insists.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/resource.h>

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    int (*real)(__rlimit_resource_t, const struct rlimit *) = dlsym(RTLD_NEXT, "setrlimit");
    int answer = real(resource, limit);
    return resource == RLIMIT_MEMLOCK ? 0 : answer;
}

int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit) {
    int (*real)(__rlimit_resource_t, const struct rlimit64 *) = dlsym(RTLD_NEXT, "setrlimit64");
    int answer = real(resource, limit);
    return resource == RLIMIT_MEMLOCK ? 0 : answer;
}
