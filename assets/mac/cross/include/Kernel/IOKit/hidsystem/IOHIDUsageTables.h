// What GLFW uses of the USB standard's HID usages.
#pragma once
enum { kHIDPage_GenericDesktop = 0x01, kHIDPage_Simulation, kHIDPage_Button = 0x09, kHIDPage_Consumer = 0x0C };
enum { kHIDUsage_GD_Joystick = 0x04, kHIDUsage_GD_GamePad, kHIDUsage_GD_MultiAxisController = 0x08, kHIDUsage_GD_X = 0x30, kHIDUsage_GD_Y,
    kHIDUsage_GD_Z, kHIDUsage_GD_Rx, kHIDUsage_GD_Ry, kHIDUsage_GD_Rz, kHIDUsage_GD_Slider, kHIDUsage_GD_Dial, kHIDUsage_GD_Wheel,
    kHIDUsage_GD_Hatswitch, kHIDUsage_GD_Start = 0x3D, kHIDUsage_GD_Select, kHIDUsage_GD_SystemMainMenu = 0x85, kHIDUsage_GD_DPadUp = 0x90,
    kHIDUsage_GD_DPadDown, kHIDUsage_GD_DPadRight, kHIDUsage_GD_DPadLeft };
enum { kHIDUsage_Sim_Rudder = 0xBA, kHIDUsage_Sim_Throttle, kHIDUsage_Sim_Accelerator = 0xC4, kHIDUsage_Sim_Brake, kHIDUsage_Sim_Steering = 0xC8 };
