package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// fingerprintEnd is how much of a tensor's beginning and end is hashed.
const fingerprintEnd = 4 << 10

// Fingerprint returns the SHA-256, in hexadecimal, of the names, types and shapes
// of all tensors and of the beginning and end of each one's data: it tells
// weights apart without reading them whole, however they are spread over files.
func (s *Store) Fingerprint() (string, error) {
	hash := sha256.New()
	for _, name := range s.names {
		t, err := s.Tensor(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%q %v %v\n", t.Name, t.DType, t.Shape)
		hash.Write(t.Data[:min(fingerprintEnd, len(t.Data))])
		hash.Write(t.Data[max(0, len(t.Data)-fingerprintEnd):])
	}
	return hex.EncodeToString(hash.Sum(nil)), s.lost()
}
