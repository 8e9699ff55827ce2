package weights

// OfShapes returns a store of tensors that have names, types and shapes only: it
// serves a device.Dry, on which nothing looks at the data. Data of a tensor that
// says something of others, such as the JSON text of an NF4 weight, is kept. name
// stands in for the path of a file.
func OfShapes(name string, tensors []Tensor) *Store {
	none := &mapping{path: name}
	entries := make(map[string]*entry, len(tensors))
	var bytes int64
	for _, t := range tensors {
		entries[t.Name] = &entry{file: none, dtype: t.DType, stored: t.DType.String(), shape: t.Shape, size: t.Bytes(), data: t.Data}
		bytes += t.Bytes()
	}
	s := newStore(name, nil, contents{tensors: entries}, "")
	s.bytes, s.shapes = bytes, true
	return s
}

// Shapes lists the store's tensors without their data, in order of name. Tensors of
// a type that is not known here are left out.
func (s *Store) Shapes() []Tensor {
	list := make([]Tensor, 0, len(s.names))
	for _, name := range s.names {
		if e := s.tensors[name]; e.dtype != 0 {
			shape, _ := e.raw()
			list = append(list, Tensor{Name: name, DType: e.dtype, Shape: shape})
		}
	}
	return list
}
