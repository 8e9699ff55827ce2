package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"gimbal/inference"
	"gimbal/inference/bench"
)

// reportHead is what a report begins with.
const reportHead = "gimbal bench "

// reportText writes a report as people read it.
func reportText(r *bench.Report) string {
	var out strings.Builder
	m := r.Machine
	fmt.Fprintf(&out, reportHead+"%s, %s\n", r.Benchmark, r.Started.Format("2006-01-02 15:04"))
	fmt.Fprintf(&out, "device: %s\nmachine: %s, %d cores, %s of memory, %s %s, load average %.2f\n",
		r.Device, m.CPU, m.Cores, inference.Size(m.Memory), m.OS, m.Arch, m.Load[0])
	if model := r.Model.String(); model != "" {
		fmt.Fprintf(&out, "model: %s\n", model)
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&out, "\n%s\n", t.Title)
		w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
		for _, row := range append([][]string{t.Header}, t.Rows...) {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		w.Flush()
	}
	fmt.Fprintln(&out)
	for _, t := range r.Totals {
		fmt.Fprintln(&out, t)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(&out, "note: "+note)
	}
	fmt.Fprintf(&out, "%.1f s\n\n", r.Seconds)
	return out.String()
}

// words is a flag of several words, separated by commas or, as Python's argparse
// takes them, by blanks (joinLists).
type words []string

func (l *words) String() string { return strings.Join(*l, " ") }

func (l *words) Set(text string) error {
	*l = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if len(*l) == 0 {
		return fmt.Errorf("none given")
	}
	return nil
}

// numbers is words that are whole numbers of 0 or more.
type numbers []int

func (l *numbers) String() string { return strings.Trim(fmt.Sprint([]int(*l)), "[]") }

func (l *numbers) Set(text string) error {
	var w words
	if err := w.Set(text); err != nil {
		return err
	}
	*l = nil
	for _, word := range w {
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no whole number of 0 or more", word)
		}
		*l = append(*l, n)
	}
	return nil
}

// joinLists makes the words after a flag that takes several one word:
// --chunk_sizes 1 2 4 becomes --chunk_sizes 1,2,4.
func joinLists(fs *flag.FlagSet, args []string) (joined []string) {
	for i := 0; i < len(args); i++ {
		joined = append(joined, args[i])
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			continue
		}
		f := fs.Lookup(strings.TrimPrefix(name, "-"))
		if f == nil {
			continue
		}
		switch f.Value.(type) {
		case *words, *numbers:
			var list []string
			for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				list = append(list, args[i])
			}
			if len(list) > 0 {
				joined = append(joined, strings.Join(list, ","))
			}
		}
	}
	return joined
}
