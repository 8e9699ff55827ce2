#pragma once
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
char *strdup(const char *s);
size_t strlcpy(char *to, const char *from, size_t size);
