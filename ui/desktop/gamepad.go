package desktop

import "github.com/go-gl/glfw/v3.3/glfw"

// Gamepad is how a gamepad is held: its sticks, -1 to 1 to the right and down, and its buttons.
type Gamepad struct {
	Left, Right [2]float64
	Start, A    bool
}

// Gamepad returns the state of the first gamepad that GLFW knows the layout of; ok is false for none.
func (s *system) Gamepad() (g Gamepad, ok bool) {
	for joystick := glfw.Joystick1; joystick <= glfw.JoystickLast; joystick++ {
		state := joystick.GetGamepadState()
		if state == nil {
			continue
		}
		at := func(a glfw.GamepadAxis) float64 { return float64(state.Axes[a]) }
		pressed := func(b glfw.GamepadButton) bool { return state.Buttons[b] == glfw.Press }
		return Gamepad{
			Left:  [2]float64{at(glfw.AxisLeftX), at(glfw.AxisLeftY)},
			Right: [2]float64{at(glfw.AxisRightX), at(glfw.AxisRightY)},
			Start: pressed(glfw.ButtonStart), A: pressed(glfw.ButtonA),
		}, true
	}
	return Gamepad{}, false
}
