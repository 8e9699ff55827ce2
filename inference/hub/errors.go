package hub

import "fmt"

// AccessError says that the hub does not give a repository.
type AccessError struct {
	Repo    string
	Address string // of its page
	Gated   bool   // it is there, for those who accepted its terms
	Token   bool   // one was sent
}

func (e *AccessError) Error() string {
	switch {
	case e.Gated:
		return fmt.Sprintf("%s: the hub gives it to those who accepted its terms at %s: do so, and set HF_TOKEN to a token of that account", e.Repo, e.Address)
	case e.Token:
		return fmt.Sprintf("%s: the hub has no such model, or HF_TOKEN does not give access to it: look at %s", e.Repo, e.Address)
	}
	return fmt.Sprintf("%s: the hub has no such model, or gives it to those only who are logged in: look at %s, and set HF_TOKEN", e.Repo, e.Address)
}

// GoneError says that a download began at a commit that the hub has no more.
type GoneError struct{ Repo, Commit, Folder string }

func (e *GoneError) Error() string {
	return fmt.Sprintf("%s: the commit %.7s, at which the download to %s began, is no longer on the hub: choose another folder, or --revision main to go on with the newest, of which files that are the same are used", e.Repo, e.Commit, e.Folder)
}

// HashError says that a file came over the network as another one than the hub has.
type HashError struct{ Path, Found, Want string }

func (e *HashError) Error() string {
	return fmt.Sprintf("%s: what was fetched has the hash %s, the hub's has %s: nothing of it is kept; try again, without a proxy or mirror in between", e.Path, e.Found, e.Want)
}

// OtherFileError says that another file is where one is to be.
type OtherFileError struct{ Path string }

func (e *OtherFileError) Error() string {
	return e.Path + ": found another file than the hub has: move it away, or choose another folder"
}

// StatusError is an answer of the hub that no waiting helps against.
type StatusError struct {
	Address string
	Status  string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: the hub answers %s", e.Address, e.Status)
}

// BusyError says that another process is fetching to a folder.
type BusyError struct{ Folder string }

func (e *BusyError) Error() string {
	return e.Folder + ": another process is fetching to this folder: wait for it"
}

// NetworkError says that a request failed again and again.
type NetworkError struct {
	Address string
	Tries   int
	Err     error
}

func (e *NetworkError) Error() string {
	return fmt.Sprintf("%s: failed %d times, lastly: %v; what came so far is kept: try again", e.Address, e.Tries, e.Err)
}

// Unwrap returns why it failed at last.
func (e *NetworkError) Unwrap() error { return e.Err }
