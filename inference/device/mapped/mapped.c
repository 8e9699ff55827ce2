#include "mapped.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

enum { slots = 4096 };

// The handler reads this table without a lock: a slot counts while begin is not 0.
static struct {
	_Atomic uintptr_t begin;
	_Atomic size_t size;
	_Atomic int lost;
} table[slots];

static _Atomic int used; // slots that were ever used
_Atomic int mapped_any_lost;

static size_t page;
static struct sigaction before; // Go's

// pass hands a signal that is not ours to the handler of before.
static void pass(int sig, siginfo_t *info, void *context) {
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
		signal(sig, SIG_DFL); // the instruction is tried again, and ends the program
	} else {
		before.sa_handler(sig);
	}
}

static void on_bus_error(int sig, siginfo_t *info, void *context) {
	uintptr_t at = (uintptr_t)info->si_addr;
	int n = atomic_load(&used);
	for (int i = 0; i < n; i++) {
		uintptr_t begin = atomic_load(&table[i].begin);
		size_t size = atomic_load(&table[i].size);
		if (begin == 0 || at < begin || at - begin >= (size + page - 1) / page * page) { // the last page is mapped whole
			continue;
		}
		int saved = errno;
		// All of it at once: a disk that is gone would raise a signal for every page.
		void *zeros = mmap((void *)begin, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		errno = saved;
		if (zeros == MAP_FAILED) {
			break;
		}
		if (!atomic_exchange(&table[i].lost, 1)) {
			atomic_fetch_add(&mapped_any_lost, 1);
		}
		return;
	}
	pass(sig, info, context);
}

// install puts the handler before Go's, on the stack that Go gives to signals.
static void install(void) {
	page = (size_t)sysconf(_SC_PAGESIZE);
	struct sigaction now = {0};
	now.sa_sigaction = on_bus_error;
	now.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	sigfillset(&now.sa_mask);
	sigaction(SIGBUS, &now, &before);
}

int mapped_add(void *begin, size_t size) {
	static int installed; // the caller holds a lock
	if (!installed) {
		installed = 1;
		install();
	}
	int n = atomic_load(&used);
	for (int i = 0; i < slots; i++) {
		if (i < n && atomic_load(&table[i].begin) != 0) {
			continue;
		}
		atomic_store(&table[i].size, size);
		atomic_store(&table[i].lost, 0);
		atomic_store(&table[i].begin, (uintptr_t)begin);
		if (i >= n) {
			atomic_store(&used, i + 1);
		}
		return i;
	}
	return -1;
}

void mapped_remove(int slot) {
	if (atomic_exchange(&table[slot].lost, 0)) {
		atomic_fetch_sub(&mapped_any_lost, 1);
	}
	atomic_store(&table[slot].begin, 0);
}

int mapped_lost(int slot) { return atomic_load(&table[slot].lost); }
