package video

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"gimbal/inference/output"
)

// Program is what a sidecar has under the key "program".
const Program = "Gimbal"

// maxSidecar bounds what ReadSidecar takes into memory.
const maxSidecar = 16 << 20

// WriteSidecar writes v to path as indented JSON.
func WriteSidecar(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("video: sidecar %s: %w", path, err)
	}
	return output.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// ReadSidecar reads the JSON at path into v. Fields that v does not have are
// skipped, so that an older version reads what a newer one wrote.
func ReadSidecar(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("video: sidecar: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSidecar+1))
	if err != nil {
		return fmt.Errorf("video: sidecar %s: %w", path, err)
	}
	if len(text) > maxSidecar {
		return fmt.Errorf("video: sidecar %s is larger than %d bytes, so none of ours", path, maxSidecar)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("video: sidecar %s is damaged or none of ours: %w", path, err)
	}
	return nil
}
