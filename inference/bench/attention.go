package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"gimbal/inference/device"
)

// AttentionRow is one self-attention.
type AttentionRow struct {
	Tokens       int     `json:"tokens"`
	Chunk        int     `json:"chunk"` // queries at a time; 0 for all
	DType        string  `json:"dtype"` // of queries, keys and values
	Seconds      float64 `json:"seconds"`
	Rate         float64 `json:"gflop_per_second"`
	WorkingBytes int64   `json:"working_bytes"` // queries, keys, values and output
	Error        float64 `json:"error"`         // relative L2 against the length's first row
}

// AttentionSettings are what Attention was asked for.
type AttentionSettings struct {
	Tokens []int    `json:"tokens"`
	Chunks []int    `json:"chunks"`
	DTypes []string `json:"dtypes"`
	Heads  int      `json:"heads"`
	Head   int      `json:"head_dim"`
	Runs   int      `json:"runs"`
}

// Attention runs a self-attention of heads of head channels over each number of
// tokens, in chunks of queries and with operands of each type: all of them in turn,
// s.Runs times, so that what else the machine does slows all of them.
func Attention(ctx context.Context, o Options, s AttentionSettings) (*Report, error) {
	dev, err := o.Open()
	if err != nil {
		return nil, err
	}
	report := o.begin("attention", dev.Info())
	if err := dev.Close(); err != nil {
		return nil, err
	}
	var rows []AttentionRow
	for _, tokens := range s.Tokens {
		part := s.rows(tokens)
		for run := range s.Runs {
			var first []float32
			for i := range part {
				row := &part[i]
				o.Progress(fmt.Sprintf("%d of %d: %d tokens, %s, %s", run+1, s.Runs, tokens, row.DType, chunkText(row.Chunk)))
				got, err := row.measure(ctx, o, s)
				if err != nil {
					return nil, fmt.Errorf("attention over %d tokens in %s: %w", tokens, row.DType, err)
				}
				if first == nil {
					first = got
				}
				row.Error = RelL2(got, first)
			}
		}
		rows = append(rows, part...)
	}
	report.Model = Model{Synthetic: report.Model.Synthetic}
	report.Settings, report.Rows = s, rows
	report.Notes = append(report.Notes, "scores are never stored whole, so a chunk of queries changes the memory little")
	report.showAttention(s, rows)
	return report.end(), nil
}

// rows lists what is measured at a length.
func (s AttentionSettings) rows(tokens int) (rows []AttentionRow) {
	for _, dtype := range s.DTypes {
		for _, chunk := range s.Chunks {
			rows = append(rows, AttentionRow{Tokens: tokens, Chunk: chunk, DType: dtype, Seconds: math.Inf(1)})
		}
	}
	return rows
}

// measure runs the attention on a device of its own and returns its result.
func (row *AttentionRow) measure(ctx context.Context, o Options, s AttentionSettings) ([]float32, error) {
	dtype, ok := device.ParseDType(row.DType)
	if !ok {
		return nil, fmt.Errorf("no type %q", row.DType)
	}
	dev, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	cols := s.Heads * s.Head
	operands := NewOperands(ctx, dev)
	defer operands.Release()
	var m [4]device.Mat // queries, keys, values, output
	for i := range m {
		m[i] = operands.Mat(dtype, uint64(i+1), row.Tokens, cols)
	}
	if err := operands.Err(); err != nil {
		return nil, err
	}
	row.WorkingBytes = dev.Info().Allocated
	chunk := row.Chunk
	if chunk == 0 {
		chunk = row.Tokens
	}
	began := time.Now()
	err = dev.Do(ctx, "attention", func(e device.Encoder) {
		for from := 0; from < row.Tokens; from += chunk {
			to := min(from+chunk, row.Tokens)
			e.Record(device.Attention{
				Q: m[0].RowRange(from, to), K: m[1], V: m[2], O: m[3].RowRange(from, to),
				Heads: s.Heads, Scale: float32(1 / math.Sqrt(float64(s.Head))),
			})
		}
	})
	if err != nil {
		return nil, err
	}
	row.Seconds = min(row.Seconds, time.Since(began).Seconds())
	row.Rate = 4 * float64(row.Tokens) * float64(row.Tokens) * float64(cols) / row.Seconds / 1e9
	return floats(ctx, dev, m[3])
}

// floats reads m, of any float type.
func floats(ctx context.Context, dev device.Device, m device.Mat) ([]float32, error) {
	buf, err := dev.Alloc(device.Desc{Label: "result", DType: device.F32, Shape: []int{m.Rows, m.Cols}})
	if err != nil {
		return nil, err
	}
	defer buf.Release()
	err = dev.Do(ctx, "widen", func(e device.Encoder) { e.Record(device.Move{X: m, Y: device.AsMat(buf)}) })
	if err != nil {
		return nil, err
	}
	values := make([]float32, m.Rows*m.Cols)
	return values, dev.Read(ctx, device.Bytes(values), buf)
}

func chunkText(chunk int) string {
	if chunk == 0 {
		return "all queries"
	}
	return fmt.Sprintf("%d queries", chunk)
}

func (r *Report) showAttention(s AttentionSettings, rows []AttentionRow) {
	t := Table{
		Title:  fmt.Sprintf("self-attention, %d heads of %d", s.Heads, s.Head),
		Header: []string{"tokens", "operands", "at a time", "time", "rate", "working memory", "error"},
	}
	p := panel{title: "rate (GFLOP/s)"}
	for _, tokens := range s.Tokens {
		p.labels = append(p.labels, fmt.Sprintf("%d tokens", tokens))
	}
	for _, row := range rows {
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(row.Tokens), row.DType, chunkText(row.Chunk), duration(row.Seconds), number(row.Rate) + " GFLOP/s",
			size(row.WorkingBytes), number(row.Error),
		})
		name := row.DType + ", " + chunkText(row.Chunk)
		i := slices.IndexFunc(p.series, func(s series) bool { return s.name == name })
		if i < 0 {
			i = len(p.series)
			p.series = append(p.series, series{name: name})
		}
		p.series[i].values = append(p.series[i].values, row.Rate)
	}
	r.Tables, r.panels = []Table{t}, []panel{p}
}
