// macdriver spells it so, which is the same file on a Mac.
#import <AppKit/AppKit.h>
