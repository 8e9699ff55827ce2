// Command build writes the PTX of every kernel into a folder.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"gimbal/metalkit/internal/driver/cuda/ptx"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: build CLANG FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := build(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(ctx context.Context, clang, folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	c, err := ptx.NewCompiler(clang)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.All(ctx, func(name string, aligned bool, text string) error {
		return os.WriteFile(filepath.Join(folder, ptx.File(name, aligned)), []byte(text), 0o666)
	})
}
