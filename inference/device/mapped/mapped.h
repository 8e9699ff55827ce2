#include <stddef.h>

// mapped_add makes the handler know a mapping and returns its slot, or -1 where all are taken.
int mapped_add(void *begin, size_t size);

// mapped_remove makes it forget the mapping, before it is unmapped.
void mapped_remove(int slot);

// mapped_lost tells whether zeros stand in the mapping's place.
int mapped_lost(int slot);

// mapped_any_lost counts the mappings with zeros in their place.
extern _Atomic int mapped_any_lost;
