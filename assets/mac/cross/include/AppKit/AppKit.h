// What GLFW, Fyne, its systray, the dialogs and ui/desktop use of AppKit, declared after Apple's documentation.
#pragma once
#import <ApplicationServices/ApplicationServices.h>
#import <Foundation/Foundation.h>
#import <OpenGL/CGLTypes.h>

@class CALayer, NSAppearance, NSBitmapImageRep, NSColorSpace, NSCursor, NSEvent, NSGraphicsContext, NSImage, NSImageRep, NSMenu, NSMenuItem,
    NSPasteboard, NSScreen, NSStatusBarButton, NSStatusItem, NSTrackingArea, NSView, NSWindow;
@protocol NSApplicationDelegate, NSMenuDelegate, NSWindowDelegate;

extern const double NSAppKitVersionNumber;

// Events.

typedef enum : NSUInteger { NSEventTypeLeftMouseDown = 1, NSEventTypeLeftMouseUp, NSEventTypeRightMouseDown, NSEventTypeApplicationDefined = 15 }
    NSEventType;
typedef enum : unsigned long long { NSEventMaskKeyUp = 1ULL << 11, NSEventMaskAny = NSUIntegerMax } NSEventMask;
typedef enum : NSUInteger { NSEventModifierFlagCapsLock = 1 << 16, NSEventModifierFlagShift = 1 << 17, NSEventModifierFlagControl = 1 << 18,
    NSEventModifierFlagOption = 1 << 19, NSEventModifierFlagCommand = 1 << 20, NSEventModifierFlagDeviceIndependentFlagsMask = 0xffff0000UL }
    NSEventModifierFlags;

@interface NSEvent : NSObject <NSCopying>
+ (NSEvent *)otherEventWithType:(NSEventType)type
    location:(NSPoint)location
    modifierFlags:(NSEventModifierFlags)flags
    timestamp:(NSTimeInterval)time
    windowNumber:(NSInteger)window
    context:(NSGraphicsContext *)unused
    subtype:(short)subtype
    data1:(NSInteger)data1
    data2:(NSInteger)data2;
+ (id)addLocalMonitorForEventsMatchingMask:(NSEventMask)mask handler:(NSEvent * (^)(NSEvent *event))block;
+ (void)removeMonitor:(id)monitor;
@property(class, readonly) NSTimeInterval doubleClickInterval;
@property(class, readonly) NSPoint mouseLocation;
@property(readonly) NSEventModifierFlags modifierFlags;
@property(readonly) NSWindow *window;
@property(readonly) NSPoint locationInWindow;
@property(readonly) NSInteger buttonNumber;
@property(readonly) unsigned short keyCode;
@property(readonly) CGFloat deltaX, deltaY, scrollingDeltaX, scrollingDeltaY;
@property(readonly) BOOL hasPreciseScrollingDeltas;
@end

@interface NSResponder : NSObject
- (void)interpretKeyEvents:(NSArray *)events;
@end

// The application.

typedef enum : NSInteger { NSApplicationActivationPolicyRegular, NSApplicationActivationPolicyAccessory, NSApplicationActivationPolicyProhibited }
    NSApplicationActivationPolicy;
typedef enum : NSUInteger { NSTerminateCancel, NSTerminateNow, NSTerminateLater } NSApplicationTerminateReply;
typedef enum : NSUInteger { NSCriticalRequest = 0, NSInformationalRequest = 10 } NSRequestUserAttentionType;
typedef NSInteger NSModalResponse;

@interface NSApplication : NSResponder
- (void)activateIgnoringOtherApps:(BOOL)others;
- (NSApplicationActivationPolicy)activationPolicy;
- (BOOL)setActivationPolicy:(NSApplicationActivationPolicy)policy;
- (void)arrangeInFront:(id)sender;
- (void)hide:(id)sender;
- (void)hideOtherApplications:(id)sender;
- (NSEvent *)nextEventMatchingMask:(NSEventMask)mask untilDate:(NSDate *)date inMode:(NSRunLoopMode)mode dequeue:(BOOL)dequeue;
- (void)orderFrontStandardAboutPanel:(id)sender;
- (void)postEvent:(NSEvent *)event atStart:(BOOL)first;
- (NSInteger)requestUserAttention:(NSRequestUserAttentionType)type;
- (void)run;
- (void)sendEvent:(NSEvent *)event;
- (void)stop:(id)sender;
- (void)terminate:(id)sender;
- (void)unhideAllApplications:(id)sender;
@property(class, readonly) __kindof NSApplication *sharedApplication;
@property id<NSApplicationDelegate> delegate;
@property(readonly) NSEvent *currentEvent;
@property(readonly) NSWindow *keyWindow;
@property NSMenu *mainMenu, *servicesMenu, *windowsMenu;
@end

extern __kindof NSApplication *NSApp;
extern NSNotificationName const NSApplicationDidFinishLaunchingNotification;

@protocol NSApplicationDelegate <NSObject>
@optional
- (void)application:(NSApplication *)application openURLs:(NSArray *)urls;
- (NSApplicationTerminateReply)applicationShouldTerminate:(NSApplication *)sender;
- (void)applicationDidChangeScreenParameters:(NSNotification *)notification;
- (void)applicationDidFinishLaunching:(NSNotification *)notification;
- (void)applicationDidHide:(NSNotification *)notification;
- (void)applicationWillFinishLaunching:(NSNotification *)notification;
- (void)applicationWillTerminate:(NSNotification *)notification;
@end

@interface NSWorkspace : NSObject
- (BOOL)openURL:(NSURL *)url;
@end

@interface NSBundle (NSNibLoading)
- (BOOL)loadNibNamed:(NSString *)name owner:(id)owner topLevelObjects:(NSArray **)objects;
@end

// Views and windows.

typedef enum : NSUInteger { NSViewWidthSizable = 2, NSViewHeightSizable = 16 } NSAutoresizingMaskOptions;

@interface NSView : NSResponder
- (instancetype)initWithFrame:(NSRect)frame;
- (void)addSubview:(NSView *)view;
- (void)addTrackingArea:(NSTrackingArea *)area;
- (NSRect)convertRectToBacking:(NSRect)rect;
- (BOOL)mouse:(NSPoint)point inRect:(NSRect)rect;
- (void)registerForDraggedTypes:(NSArray *)types;
- (void)removeTrackingArea:(NSTrackingArea *)area;
- (void)updateTrackingAreas;
@property NSRect bounds, frame;
@property NSAutoresizingMaskOptions autoresizingMask;
@property BOOL autoresizesSubviews, wantsLayer, wantsBestResolutionOpenGLSurface;
@property(readonly, getter=isOpaque) BOOL opaque;
@property CALayer *layer;
@property NSString *toolTip;
@property(readonly) NSWindow *window;
@end

@interface NSControl : NSView
@property SEL action;
@property(getter=isHighlighted) BOOL highlighted;
@end

typedef enum : NSUInteger { NSNoImage, NSImageOnly, NSImageLeft } NSCellImagePosition;

@interface NSButton : NSControl
@property NSImage *image;
@property NSCellImagePosition imagePosition;
@property NSString *title;
@end

typedef enum : NSUInteger { NSTrackingMouseEnteredAndExited = 0x01, NSTrackingCursorUpdate = 0x04, NSTrackingActiveInKeyWindow = 0x20,
    NSTrackingAssumeInside = 0x100, NSTrackingInVisibleRect = 0x200, NSTrackingEnabledDuringMouseDrag = 0x400 } NSTrackingAreaOptions;

@interface NSTrackingArea : NSObject <NSCopying>
- (instancetype)initWithRect:(NSRect)rect options:(NSTrackingAreaOptions)options owner:(id)owner userInfo:(NSDictionary *)info;
@end

@interface CALayer : NSObject
+ (instancetype)layer;
@property CGFloat contentsScale;
@end

typedef enum : NSUInteger { NSBackingStoreBuffered = 2 } NSBackingStoreType;
typedef enum : NSUInteger { NSWindowCollectionBehaviorManaged = 1 << 2, NSWindowCollectionBehaviorFullScreenPrimary = 1 << 7,
    NSWindowCollectionBehaviorFullScreenNone = 1 << 9 } NSWindowCollectionBehavior;
typedef NSInteger NSWindowLevel;
static const NSWindowLevel NSNormalWindowLevel = 0, NSFloatingWindowLevel = 3, NSMainMenuWindowLevel = 24;
typedef enum : NSUInteger { NSWindowOcclusionStateVisible = 1 << 1 } NSWindowOcclusionState;
typedef enum : NSUInteger { NSWindowStyleMaskBorderless = 0, NSWindowStyleMaskTitled = 1 << 0, NSWindowStyleMaskClosable = 1 << 1,
    NSWindowStyleMaskMiniaturizable = 1 << 2, NSWindowStyleMaskResizable = 1 << 3, NSWindowStyleMaskFullScreen = 1 << 14 } NSWindowStyleMask;
typedef enum : NSInteger { NSWindowTabbingModeAutomatic, NSWindowTabbingModePreferred, NSWindowTabbingModeDisallowed } NSWindowTabbingMode;

@class NSColor;

@interface NSWindow : NSResponder
+ (NSRect)contentRectForFrameRect:(NSRect)frame styleMask:(NSWindowStyleMask)style;
+ (NSRect)frameRectForContentRect:(NSRect)content styleMask:(NSWindowStyleMask)style;
+ (NSInteger)windowNumberAtPoint:(NSPoint)point belowWindowWithWindowNumber:(NSInteger)window;
- (instancetype)initWithContentRect:(NSRect)content styleMask:(NSWindowStyleMask)style backing:(NSBackingStoreType)backing defer:(BOOL)defer;
- (NSPoint)cascadeTopLeftFromPoint:(NSPoint)point;
- (void)center;
- (void)close;
- (NSRect)contentRectForFrameRect:(NSRect)frame;
- (NSRect)convertRectToScreen:(NSRect)rect;
- (void)deminiaturize:(id)sender;
- (NSRect)frameRectForContentRect:(NSRect)content;
- (void)makeKeyAndOrderFront:(id)sender;
- (BOOL)makeFirstResponder:(NSResponder *)responder;
- (void)miniaturize:(id)sender;
- (void)orderFront:(id)sender;
- (void)orderOut:(id)sender;
- (void)performMiniaturize:(id)sender;
- (void)performZoom:(id)sender;
- (void)sendEvent:(NSEvent *)event;
- (void)setFrame:(NSRect)frame display:(BOOL)display;
- (BOOL)setFrameAutosaveName:(NSString *)name;
- (void)setFrameOrigin:(NSPoint)origin;
- (void)toggleFullScreen:(id)sender;
- (void)zoom:(id)sender;
@property(readonly) NSRect frame;
@property(readonly) NSPoint mouseLocationOutsideOfEventStream;
@property(readonly) CGFloat backingScaleFactor;
@property(readonly) NSInteger windowNumber;
@property(readonly) NSWindowOcclusionState occlusionState;
@property(readonly, getter=isKeyWindow) BOOL keyWindow;
@property(readonly, getter=isMiniaturized) BOOL miniaturized;
@property(readonly, getter=isVisible) BOOL visible;
@property(readonly, getter=isZoomed) BOOL zoomed;
@property BOOL acceptsMouseMovedEvents, hasShadow;
@property(getter=isOpaque) BOOL opaque;
@property(getter=isRestorable) BOOL restorable;
@property CGFloat alphaValue;
@property NSSize contentAspectRatio, contentMaxSize, contentMinSize, resizeIncrements;
@property NSWindowCollectionBehavior collectionBehavior;
@property NSWindowLevel level;
@property NSWindowStyleMask styleMask;
@property NSWindowTabbingMode tabbingMode;
@property NSColor *backgroundColor;
@property NSString *miniwindowTitle, *title;
@property NSView *contentView;
@property id<NSWindowDelegate> delegate;
@end

@interface NSPanel : NSWindow
@property(getter=isFloatingPanel) BOOL floatingPanel;
@end

@interface NSSavePanel : NSPanel
+ (NSSavePanel *)savePanel;
- (NSModalResponse)runModal;
@property(readonly) NSURL *URL;
@property NSArray *allowedFileTypes;
@property BOOL allowsOtherFileTypes;
@property NSURL *directoryURL;
@property NSString *nameFieldStringValue;
@end

@interface NSOpenPanel : NSSavePanel
+ (NSOpenPanel *)openPanel;
@property(readonly) NSArray *URLs;
@property BOOL canChooseDirectories, canChooseFiles;
@end

static const NSModalResponse NSAlertFirstButtonReturn = 1000;

@interface NSAlert : NSObject
- (NSButton *)addButtonWithTitle:(NSString *)title;
- (NSModalResponse)runModal;
@property NSImage *icon;
@property NSString *messageText;
@property(readonly) NSWindow *window;
@end

@interface NSScreen : NSObject
- (NSRect)convertRectToBacking:(NSRect)rect;
@property(class, readonly) NSArray *screens;
@property(readonly) NSDictionary *deviceDescription;
@property(readonly) NSRect frame, visibleFrame;
@property(readonly) NSString *localizedName;
@end

// Menus and the status bar.

typedef NSInteger NSControlStateValue;
static const NSControlStateValue NSControlStateValueOff = 0, NSControlStateValueOn = 1;

@interface NSMenu : NSObject <NSCopying>
- (instancetype)initWithTitle:(NSString *)title;
- (void)addItem:(NSMenuItem *)item;
- (NSMenuItem *)addItemWithTitle:(NSString *)title action:(SEL)action keyEquivalent:(NSString *)key;
- (void)insertItem:(NSMenuItem *)item atIndex:(NSInteger)i;
- (NSMenuItem *)itemAtIndex:(NSInteger)i;
- (NSMenuItem *)itemWithTag:(NSInteger)tag;
- (BOOL)popUpMenuPositioningItem:(NSMenuItem *)item atLocation:(NSPoint)location inView:(NSView *)view;
- (void)removeAllItems;
- (void)removeItem:(NSMenuItem *)item;
- (void)removeItemAtIndex:(NSInteger)i;
@property BOOL autoenablesItems;
@property id<NSMenuDelegate> delegate;
@property NSArray *itemArray;
@property(readonly) NSInteger numberOfItems;
@property NSString *title;
@end

@protocol NSMenuDelegate <NSObject>
@optional
- (void)menuWillOpen:(NSMenu *)menu;
@end

@interface NSMenuItem : NSObject <NSCopying>
+ (NSMenuItem *)separatorItem;
- (instancetype)initWithTitle:(NSString *)title action:(SEL)action keyEquivalent:(NSString *)key;
@property SEL action;
@property(getter=isEnabled) BOOL enabled;
@property(readonly) BOOL hasSubmenu;
@property(getter=isHidden) BOOL hidden;
@property NSImage *image;
@property NSString *keyEquivalent, *title, *toolTip;
@property NSEventModifierFlags keyEquivalentModifierMask;
@property NSMenu *menu;
@property id representedObject;
@property(readonly, getter=isSeparatorItem) BOOL separatorItem;
@property NSControlStateValue state;
@property NSMenu *submenu;
@property NSInteger tag;
@property id target;
@end

static const CGFloat NSVariableStatusItemLength = -1;
typedef enum : NSUInteger { NSStatusItemBehaviorRemovalAllowed = 1 << 1 } NSStatusItemBehavior;

@interface NSStatusBar : NSObject
- (NSStatusItem *)statusItemWithLength:(CGFloat)length;
@property(class, readonly) NSStatusBar *systemStatusBar;
@end

@interface NSStatusBarButton : NSButton
@end

@interface NSStatusItem : NSObject
@property NSStatusItemBehavior behavior;
@property(readonly) NSStatusBarButton *button;
@property(getter=isVisible) BOOL visible;
@end

// Colours, fonts and pictures.

@interface NSColor : NSObject <NSCopying>
- (NSColor *)colorUsingColorSpace:(NSColorSpace *)space;
- (void)getRed:(CGFloat *)red green:(CGFloat *)green blue:(CGFloat *)blue alpha:(CGFloat *)alpha;
@property(class, readonly) NSColor *clearColor, *selectedMenuItemTextColor;
@end

typedef NSString *NSColorSpaceName;
extern NSColorSpaceName const NSCalibratedRGBColorSpace;

@interface NSColorSpace : NSObject
@property(class, readonly) NSColorSpace *sRGBColorSpace;
@end

@interface NSFont : NSObject <NSCopying>
+ (NSFont *)menuFontOfSize:(CGFloat)size;
@property(readonly) CGFloat pointSize;
@end

@interface NSCursor : NSObject
+ (void)hide;
+ (void)unhide;
- (instancetype)initWithImage:(NSImage *)image hotSpot:(NSPoint)point;
- (void)set;
@property(class, readonly) NSCursor *IBeamCursor, *arrowCursor, *crosshairCursor, *pointingHandCursor, *resizeLeftRightCursor, *resizeUpDownCursor;
@end

typedef NSString *NSImageName;
extern NSImageName const NSImageNameCaution, NSImageNameInfo;

@interface NSImage : NSObject <NSCopying>
+ (NSImage *)imageNamed:(NSImageName)name;
- (instancetype)initWithData:(NSData *)data;
- (instancetype)initWithSize:(NSSize)size;
- (void)addRepresentation:(NSImageRep *)representation;
@property NSSize size;
@property(getter=isTemplate) BOOL template;
@end

@interface NSImageRep : NSObject <NSCopying>
@end

typedef enum : NSUInteger { NSBitmapFormatAlphaNonpremultiplied = 1 << 1 } NSBitmapFormat;

@interface NSBitmapImageRep : NSImageRep
- (instancetype)initWithBitmapDataPlanes:(unsigned char **)planes
    pixelsWide:(NSInteger)width
    pixelsHigh:(NSInteger)height
    bitsPerSample:(NSInteger)bits
    samplesPerPixel:(NSInteger)samples
    hasAlpha:(BOOL)alpha
    isPlanar:(BOOL)planar
    colorSpaceName:(NSColorSpaceName)space
    bitmapFormat:(NSBitmapFormat)format
    bytesPerRow:(NSInteger)row
    bitsPerPixel:(NSInteger)pixel;
@property(readonly) unsigned char *bitmapData;
@end

// The pasteboard and dragging.

typedef NSString *NSPasteboardType, *NSPasteboardReadingOptionKey;
extern NSPasteboardType const NSPasteboardTypeString, NSPasteboardTypeURL;
extern NSPasteboardReadingOptionKey const NSPasteboardURLReadingFileURLsOnlyKey;

@interface NSPasteboard : NSObject
- (NSInteger)declareTypes:(NSArray *)types owner:(id)owner;
- (NSArray *)readObjectsForClasses:(NSArray *)classes options:(NSDictionary *)options;
- (BOOL)setString:(NSString *)s forType:(NSPasteboardType)type;
- (NSString *)stringForType:(NSPasteboardType)type;
@property(class, readonly) NSPasteboard *generalPasteboard;
@property(readonly) NSArray *types;
@end

typedef enum : NSUInteger { NSDragOperationNone = 0, NSDragOperationGeneric = 4 } NSDragOperation;

@protocol NSDraggingInfo <NSObject>
@property(readonly) NSPoint draggingLocation;
@property(readonly) NSPasteboard *draggingPasteboard;
@end

@protocol NSDraggingDestination <NSObject>
@optional
- (NSDragOperation)draggingEntered:(id<NSDraggingInfo>)sender;
- (BOOL)performDragOperation:(id<NSDraggingInfo>)sender;
@end

@interface NSView (NSDrag) <NSDraggingDestination>
@end

// Text.

extern NSNotificationName const NSTextInputContextKeyboardSelectionDidChangeNotification;

@protocol NSTextInputClient
- (NSAttributedString *)attributedSubstringForProposedRange:(NSRange)range actualRange:(NSRangePointer)actual;
- (NSUInteger)characterIndexForPoint:(NSPoint)point;
- (void)doCommandBySelector:(SEL)selector;
- (NSRect)firstRectForCharacterRange:(NSRange)range actualRange:(NSRangePointer)actual;
- (BOOL)hasMarkedText;
- (void)insertText:(id)string replacementRange:(NSRange)range;
- (NSRange)markedRange;
- (NSRange)selectedRange;
- (void)setMarkedText:(id)string selectedRange:(NSRange)selected replacementRange:(NSRange)range;
- (void)unmarkText;
- (NSArray *)validAttributesForMarkedText;
@end

// OpenGL.

typedef uint32_t NSOpenGLPixelFormatAttribute;
enum { NSOpenGLPFADoubleBuffer = 5, NSOpenGLPFAAuxBuffers = 7, NSOpenGLPFAColorSize = 8, NSOpenGLPFAAlphaSize = 11, NSOpenGLPFADepthSize = 12,
    NSOpenGLPFAStencilSize = 13, NSOpenGLPFAAccumSize = 14, NSOpenGLPFASampleBuffers = 55, NSOpenGLPFASamples = 56, NSOpenGLPFAAccelerated = 73,
    NSOpenGLPFAClosestPolicy = 74, NSOpenGLPFAAllowOfflineRenderers = 96, NSOpenGLPFAOpenGLProfile = 99 };
enum { NSOpenGLProfileVersion3_2Core = 0x3200, NSOpenGLProfileVersion4_1Core = 0x4100 };
typedef enum : NSInteger { NSOpenGLContextParameterSwapInterval = 222, NSOpenGLContextParameterSurfaceOpacity = 236 } NSOpenGLContextParameter;

@interface NSOpenGLPixelFormat : NSObject
- (instancetype)initWithAttributes:(const NSOpenGLPixelFormatAttribute *)attributes;
@end

@interface NSOpenGLContext : NSObject
+ (void)clearCurrentContext;
- (instancetype)initWithFormat:(NSOpenGLPixelFormat *)format shareContext:(NSOpenGLContext *)share;
- (void)flushBuffer;
- (void)getValues:(int *)values forParameter:(NSOpenGLContextParameter)parameter;
- (void)makeCurrentContext;
- (void)setValues:(const int *)values forParameter:(NSOpenGLContextParameter)parameter;
- (void)update;
@property NSView *view;
@end
