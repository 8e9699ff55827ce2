// awake_begin keeps the idle machine, not its display, awake until awake_end is given what it returns,
// a retained object.
void *awake_begin(const char *reason);
void awake_end(void *activity);
