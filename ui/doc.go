// Package ui is Gimbal's window: Fyne views over view-models that have no widgets
// in them. It knows the API of inference and never a device; app wires the two.
package ui
