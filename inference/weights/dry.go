package weights

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// DryQuantised returns the tensors that OpenQuantised would give, without data: it makes nothing.
// Where the checkpoint brings quantised weights it returns those, which may be source
// itself. missing is the size of the file that Open would make, 0 if there is one,
// and folder the place for it.
func DryQuantised(dir, expert string, source *Store, o Quant) (store *Store, missing int64, folder string, err error) {
	if store, err := brought(dir, expert, source, o); store != nil || err != nil {
		return store, 0, "", err
	}
	w := &writer{o: o}
	tensors := source.Shapes()
	w.tensors = w.plan(tensors)
	states := map[string][]byte{}
	for _, t := range tensors {
		if quantises(t) && o.Format == NF4 {
			if states[t.Name+stateSuffix], err = json.Marshal(nf4State(t, o)); err != nil {
				return nil, 0, "", err
			}
		}
	}
	shapes := make([]Tensor, len(w.tensors))
	for i, t := range w.tensors {
		shapes[i] = Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape, Data: states[t.Name]}
	}
	store = OfShapes(source.Path(), shapes)
	if made(dir, expert, o) {
		return store, 0, "", nil
	}
	return store, w.size(), folders(dir)[0], nil
}

// made reports whether there seems to be a cached file; which weights it was made
// from is not looked at.
func made(dir, expert string, o Quant) bool {
	for _, folder := range folders(dir) {
		names, err := filepath.Glob(filepath.Join(folder, fmt.Sprintf("%s-%s-v%s-*.safetensors", expert, o, layoutVersion)))
		if err == nil && len(names) > 0 && !strings.HasPrefix(filepath.Base(names[0]), ".") {
			return true
		}
	}
	return false
}
