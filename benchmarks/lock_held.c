/* Processor time spent by whoever holds Python's lock, and how often the lock is taken.
 *
 * Preloaded by lock.py: CPython guards the lock's state with a mutex, so whoever takes or drops the
 * lock unlocks that mutex right afterwards, and here the thread's own clock is read then. Exact
 * however busy the machine is, where sampling counts a holder that does not run; each change of
 * hands costs some 0.4 microseconds more, which are counted.
 *
 *   cc -O2 -shared -fPIC -I "$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
 *      -o lock_held.so lock_held.c
 */
#define _GNU_SOURCE
#define Py_BUILD_CORE 1
#include <Python.h>
#include <internal/pycore_runtime.h>
#if PY_VERSION_HEX >= 0x030C0000
#include <internal/pycore_interp.h>
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

extern _PyRuntimeState _PyRuntime __attribute__((weak));

static int (*unlock)(pthread_mutex_t *);
static int held;
static long long since, total, times;

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct _gil_runtime_state *lock(void)
{
    if (!&_PyRuntime)
        return NULL;
#if PY_VERSION_HEX >= 0x030C0000
    return _PyRuntime.interpreters.main ? _PyRuntime.interpreters.main->ceval.gil : NULL;
#else
    return &_PyRuntime.ceval.gil;
#endif
}

/* Only who has the mutex gets past the comparison, so the counters need no lock of their own. */
int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    struct _gil_runtime_state *gil = lock();
    if (gil && mutex == &gil->mutex) {
        int locked = *(volatile int *)&gil->locked;
        if (locked == 1 && !held) {
            held = 1;
            times++;
            since = now();
        } else if (locked == 0 && held) {
            held = 0;
            total += now() - since;
        }
    }
    if (!unlock)
        unlock = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    return unlock(mutex);
}

/* To be called with the lock held. */
long long lock_held_ns(void) { return total + (held ? now() - since : 0); }
long long lock_times(void) { return times; }
