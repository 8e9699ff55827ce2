#include "kernels.h"

#include <sys/mman.h>
#include <unistd.h>

void *gb_alloc(size_t bytes) {
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
#ifdef MADV_HUGEPAGE
	if (bytes >= (size_t)4 << 20)
		madvise(p, bytes, MADV_HUGEPAGE);
#endif
	return p;
}

void gb_free(void *p, size_t bytes) { munmap(p, bytes); }

long long gb_physical_memory(void) {
	return (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}
