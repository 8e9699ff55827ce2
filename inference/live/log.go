package live

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
)

// log is a file that only grows. A record is its kind, the lengths of its JSON and of its
// data, a checksum (CRC-32C) of these and the JSON, one of the data, and both. A program that
// is killed while it appends leaves a torn record, which the next one cuts off.
type log struct {
	file *os.File
	end  int64
}

// logMagic begins the file.
const logMagic = "gimbal walk 1\n\x00\x00"

// What a reader takes for damage.
const (
	maxJSON = 4 << 20
	maxData = 1 << 30
)

const headSize = 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Kinds of records.
const (
	kindStart = iota + 1
	kindPrompt
	kindChunk
	kindThumb
	kindName
	kindAt
)

// createLog makes a log, of which there may be none.
func createLog(path string) (*log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(logMagic)
	if err = errors.Join(err, f.Sync()); err != nil {
		f.Close()
		return nil, err
	}
	return &log{f, int64(len(logMagic))}, nil
}

// openLog opens a log and hands its records to visit, each with where its data are. What
// follows the last whole record is cut off, unless the log is only looked at: then data are
// not read, which may be gigabytes.
func openLog(path string, look bool, visit func(kind int, text []byte, at int64, n int) error) (*log, error) {
	flag := os.O_RDWR
	if look {
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, err
	}
	l := &log{file: f}
	if err = l.read(look, visit); err == nil && !look {
		err = f.Truncate(l.end)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

func (l *log) read(look bool, visit func(kind int, text []byte, at int64, n int) error) error {
	size, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	magic := make([]byte, len(logMagic))
	if _, err := l.file.ReadAt(magic, 0); err != nil || string(magic) != logMagic {
		return errors.New("found other contents, expected the record of a walk")
	}
	var head [headSize]byte
	for l.end = int64(len(logMagic)); l.end+headSize <= size; {
		if _, err := l.file.ReadAt(head[:], l.end); err != nil {
			return err
		}
		kind, text, data := fields(head)
		if text > maxJSON || data > maxData || l.end+headSize+int64(text)+int64(data) > size {
			return nil // torn
		}
		body := make([]byte, text)
		if !look {
			body = make([]byte, text+data)
		}
		if _, err := l.file.ReadAt(body, l.end+headSize); err != nil {
			return err
		}
		words, values := checksums(head, body[:text], body[text:])
		if words != binary.LittleEndian.Uint32(head[12:]) || !look && values != binary.LittleEndian.Uint32(head[16:]) {
			return nil
		}
		at := l.end + headSize + int64(text)
		if err := visit(kind, body[:text], at, data); err != nil {
			return err
		}
		l.end = at + int64(data)
	}
	return nil
}

func fields(head [headSize]byte) (kind, text, data int) {
	at := func(i int) int { return int(binary.LittleEndian.Uint32(head[i:])) }
	return at(0), at(4), at(8)
}

// checksums returns that of a record's lengths and JSON, and that of its data.
func checksums(head [headSize]byte, text, data []byte) (words, values uint32) {
	return crc32.Update(crc32.Checksum(head[:12], castagnoli), castagnoli, text), crc32.Checksum(data, castagnoli)
}

// append writes a record and waits until it is on disk. It returns where its data are. A
// record that fails to be written is none.
func (l *log) append(kind int, of any, data []byte) (at int64, err error) {
	text, err := json.Marshal(of)
	if err != nil {
		return 0, err
	}
	var head [headSize]byte
	for i, n := range []int{kind, len(text), len(data)} {
		binary.LittleEndian.PutUint32(head[4*i:], uint32(n))
	}
	words, values := checksums(head, text, data)
	binary.LittleEndian.PutUint32(head[12:], words)
	binary.LittleEndian.PutUint32(head[16:], values)
	_, err = l.file.WriteAt(slices.Concat(head[:], text, data), l.end)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return 0, fmt.Errorf("keeping the walk: %w", errors.Join(err, l.file.Truncate(l.end)))
	}
	at = l.end + headSize + int64(len(text))
	l.end = at + int64(len(data))
	return at, nil
}

// data reads the data of a record.
func (l *log) data(at int64, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := l.file.ReadAt(b, at)
	return b, err
}

func (l *log) close() error { return l.file.Close() }
