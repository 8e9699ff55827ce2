#import <Foundation/Foundation.h>

#include "awake_darwin.h"

void *awake_begin(const char *reason) {
    @autoreleasepool { // goroutines have none
        NSProcessInfo *process = [NSProcessInfo processInfo];
        id activity = [process beginActivityWithOptions:NSActivityUserInitiated reason:[NSString stringWithUTF8String:reason]];
        return [activity retain];
    }
}

void awake_end(void *activity) {
    @autoreleasepool {
        NSProcessInfo *process = [NSProcessInfo processInfo];
        [process endActivity:(id)activity];
        [(id)activity release];
    }
}
