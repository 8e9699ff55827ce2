package api

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"gimbal/inference"
	"gimbal/inference/service/jobs"
)

// TestFullStore tells a client of a disk without room as of a store without any.
func TestFullStore(t *testing.T) {
	for _, err := range []error{jobs.ErrFull, &inference.DiskError{Folder: "/x"}, fmt.Errorf("write x: %w", syscall.ENOSPC), fmt.Errorf("write x: %w", syscall.EDQUOT)} {
		if e := asError(err); e.Status != http.StatusInsufficientStorage || e.Code != "store_full" {
			t.Errorf("%v: %d %s", err, e.Status, e.Code)
		}
	}
	if e := asError(errors.New("no space left on device")); e.Status != http.StatusInternalServerError {
		t.Errorf("another error: %d %s", e.Status, e.Code)
	}
}
