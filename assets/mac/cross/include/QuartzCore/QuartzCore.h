#import <Foundation/Foundation.h> // of which macdriver names no more than protocols
