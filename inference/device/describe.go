package device

// Property is one thing that a device says of itself, for people.
type Property struct{ Name, Value string }

// Describer is implemented by devices that have more to say than Info holds, such as
// their limits.
type Describer interface {
	Describe() []Property
}
