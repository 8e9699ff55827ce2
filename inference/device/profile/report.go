package profile

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gimbal/inference/device"
)

// Peak is the most that a device can do in a second; 0 where it is not known.
type Peak struct {
	FLOPS     float64
	Bandwidth float64 // bytes
	Source    string  // where the numbers come from, for the table
}

// Row is all that the profile knows of operations of one kind and size, or of one kernel.
type Row struct {
	Name  string
	Count int
	Time  time.Duration // by the device's clock, if it has one
	Cost  device.Cost
}

// Rows returns operations and transfers by name, those that took longest first.
func (d *Device) Rows() []Row { return d.rows(operation, transfer) }

// Kernels returns the device's kernels by name, those that took longest first; none for a
// device without a clock of its own.
func (d *Device) Kernels() []Row { return d.rows(kernel) }

func (d *Device) rows(kinds ...kind) []Row {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := map[string]Row{}
	for _, e := range d.events {
		if slices.Contains(kinds, e.kind) {
			r := rows[e.name]
			rows[e.name] = Row{e.name, r.Count + 1, r.Time + e.time(), r.Cost.Plus(e.cost)}
		}
	}
	return slices.SortedFunc(maps.Values(rows), func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Name, b.Name))
	})
}

// waited returns how long the host waited for operations.
func (d *Device) waited() (sum time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.kind == operation {
			sum += e.duration
		}
	}
	return sum
}

// share returns how much of peak a row reaches, by what holds it up more: arithmetic
// or memory.
func (p Peak) share(r Row) (share float64, known bool) {
	if p.FLOPS <= 0 || p.Bandwidth <= 0 || r.Time <= 0 {
		return 0, false
	}
	return max(float64(r.Cost.FLOPs)/p.FLOPS, float64(r.Cost.Bytes)/p.Bandwidth) / r.Time.Seconds(), true
}

// WriteTable writes the rows as a table: count, time, rates, and per cent of peak. One of
// the kernels follows where the device told of them.
func (d *Device) WriteTable(w io.Writer, peak Peak) error {
	if err := writeRows(w, "operation", d.Rows(), peak); err != nil {
		return err
	}
	if kernels := d.Kernels(); len(kernels) > 0 {
		_, err := fmt.Fprintf(w, "seconds are those of the device's clock; the host waited %.3f s for operations\n\n", d.waited().Seconds())
		if err := errors.Join(err, writeRows(w, "kernel, with the bytes that it moves", kernels, peak)); err != nil {
			return err
		}
	}
	if peak.FLOPS <= 0 || peak.Bandwidth <= 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "peak: %.3g TFLOP/s and %.3g GB/s, %s; bytes are the least that an operation can move\n",
		peak.FLOPS/1e12, peak.Bandwidth/1e9, peak.Source)
	return err
}

func writeRows(w io.Writer, of string, rows []Row, peak Peak) error {
	total := Row{Name: "all"}
	for _, r := range rows {
		total = Row{total.Name, total.Count + r.Count, total.Time + r.Time, total.Cost.Plus(r.Cost)}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "count\tseconds\ttime %%\tTFLOP/s\tGB/s\tpeak %%\t  %s\n", of)
	for _, r := range append(rows, total) {
		seconds := r.Time.Seconds()
		percent := "-"
		if share, known := peak.share(r); known {
			percent = fmt.Sprintf("%.0f", 100*share)
		}
		fmt.Fprintf(t, "%d\t%.3f\t%.1f\t%.3f\t%.1f\t%s\t  %s\n", r.Count, seconds, 100*seconds/max(total.Time.Seconds(), 1e-12),
			rate(r.Cost.FLOPs, seconds)/1e12, rate(r.Cost.Bytes, seconds)/1e9, percent, r.Name)
	}
	return t.Flush()
}

func rate(n int64, seconds float64) float64 { return float64(n) / max(seconds, 1e-12) }

// traceEvent is an event of Chrome's trace format: a complete event, "X", with times in
// microseconds.
type traceEvent struct {
	Name     string         `json:"name"`
	Category string         `json:"cat"`
	Phase    string         `json:"ph"`
	Start    float64        `json:"ts"`
	Duration float64        `json:"dur"`
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Args     map[string]any `json:"args,omitempty"`
}

// The threads of a trace: kernels lie beside what the host waits for.
const hostThread, deviceThread = 1, 2

// A trace and a table begin so.
const (
	traceHead = `{"displayTimeUnit":"ms","traceEvents":[`
	tableHead = "count seconds time % TFLOP/s GB/s peak % operation"
)

// MadeTrace reports whether the file at path is a trace of WriteTrace's.
func MadeTrace(path string) bool {
	first, err := json.Marshal(nameOf(hostThread, "host"))
	want := traceHead + "\n" + string(first)
	return err == nil && strings.HasPrefix(begin(path, len(want)), want)
}

// MadeTable reports whether the file at path is a table of WriteTable's.
func MadeTable(path string) bool {
	line, _, _ := strings.Cut(begin(path, 1<<10), "\n")
	return strings.Join(strings.Fields(line), " ") == tableHead
}

// begin returns the first n bytes of a file, or as many as there are.
func begin(path string, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, n)
	n, _ = io.ReadFull(f, head)
	return string(head[:n])
}

// WriteTrace writes all events as a trace in JSON: operations lie within submissions, and
// kernels, on a thread of their own, within operations.
func (d *Device) WriteTrace(w io.Writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := bufio.NewWriter(w)
	fmt.Fprint(out, traceHead)
	events := []traceEvent{nameOf(hostThread, "host"), nameOf(deviceThread, "device")}
	for _, e := range d.events {
		events = append(events, e.trace())
	}
	for i, e := range events {
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		out.Write(text)
	}
	fmt.Fprint(out, "\n]}\n")
	return out.Flush()
}

// nameOf names a thread.
func nameOf(thread int, name string) traceEvent {
	return traceEvent{Name: "thread_name", Category: "name", Phase: "M", Process: 1, Thread: thread, Args: map[string]any{"name": name}}
}

func (e event) trace() traceEvent {
	t := traceEvent{
		Name: e.name, Category: kindNames[e.kind], Phase: "X", Process: 1, Thread: hostThread,
		Start: float64(e.start) / 1e3, Duration: float64(e.duration) / 1e3,
	}
	if e.kind == kernel {
		t.Thread = deviceThread
	}
	if e.kind != submission {
		seconds := e.time().Seconds()
		t.Args = map[string]any{
			"flop": e.cost.FLOPs, "bytes": e.cost.Bytes, "seconds": seconds,
			"TFLOP/s": rate(e.cost.FLOPs, seconds) / 1e12, "GB/s": rate(e.cost.Bytes, seconds) / 1e9,
		}
	}
	return t
}
