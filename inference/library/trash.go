package library

// Trash moves files to where the system lets people get them back from.
type Trash interface {
	// Trash moves the file or folder at path to the trash.
	Trash(path string) error
}
