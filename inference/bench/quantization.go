package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// QuantizationRow is what a way to keep the experts' weights costs and gives.
type QuantizationRow struct {
	Quant           string       `json:"quant"`
	WeightBytes     int64        `json:"weight_bytes"`            // of all experts
	WorkingBytes    int64        `json:"working_bytes"`           // most of the device's memory in use, weights that are mapped not counted
	QuantizeSeconds float64      `json:"quantize_seconds"`        // from file to file; 0 where nothing was to be made
	QuantizeRate    float64      `json:"quantize_gb_per_second"`  // of the weights as they were
	StepSeconds     float64      `json:"step_seconds"`            // both guidance passes
	StepRatio       float64      `json:"step_ratio"`              // of the first row's
	ProductSeconds  float64      `json:"product_seconds"`         // of all tokens with the largest layer, the rows in turn
	ProductRatio    float64      `json:"product_ratio"`           // the rate as a part of the first row's
	Layers          []LayerError `json:"layers,omitempty"`        // against the weights as they were, multiplied in F32
	LatentError     *float64     `json:"latent_error,omitempty"`  // relative L2 of the latent after all steps, against the row "none"
	PSNR            *float64     `json:"video_psnr_db,omitempty"` // of the decoded video, likewise, where weights are trained
}

// QuantizationSettings are what Quantization was asked for.
type QuantizationSettings struct {
	Quant  []string `json:"quant_types"`
	Steps  int      `json:"sample_steps"`
	Frames int      `json:"frames"`
	Width  int      `json:"width"`
	Height int      `json:"height"`
}

// quantizationVAE is the channels of the VAE beside random weights: what it makes of a
// latent is not measured.
const quantizationVAE = 8

// Quantization makes the same video with each kind of weights, by o.Job's steps. With
// random weights, of layers and of a small VAE, the video is not compared.
func Quantization(ctx context.Context, o Options, kinds []inference.Quant) (*Report, error) {
	dev, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	o.Job.Frames = o.frames()
	if o.Dims != nil {
		d := *o.Dims
		d.VAE = quantizationVAE
		o.Dims = &d
	}
	f, err := o.folder(ctx)
	if err != nil {
		return nil, err
	}
	defer f.remove()
	report := o.begin("quantization", dev.Info())
	q := quantization{o: o, f: f, report: report}
	for _, kind := range kinds {
		o.Progress("weights in " + kind.String())
		if err := q.add(ctx, kind); err != nil {
			return nil, fmt.Errorf("weights in %s: %w", kind, err)
		}
	}
	if err := q.products(ctx); err != nil {
		return nil, err
	}
	q.finish()
	return report.end(), nil
}

// quantization is a benchmark under way.
type quantization struct {
	o        Options
	f        *folder
	report   *Report
	rows     []QuantizationRow
	plain    *result   // of the weights as they are
	results  []*result // one a row, without what the runs gave
	settings QuantizationSettings
}

func (q *quantization) add(ctx context.Context, kind inference.Quant) error {
	r, err := q.f.run(ctx, q.o, kind, q.o.Job)
	if err != nil {
		return err
	}
	step, blocks := r.step()
	row := QuantizationRow{
		Quant: kind.String(), WeightBytes: r.weights, WorkingBytes: r.working, StepSeconds: step,
		QuantizeSeconds: r.quantise, StepRatio: 1,
	}
	if r.quantise > 0 {
		row.QuantizeRate = float64(r.source) / r.quantise / 1e9
	}
	if len(q.rows) > 0 {
		row.StepRatio = step / q.rows[0].StepSeconds
	}
	switch {
	case kind == inference.QuantNone:
		q.plain = r
	case q.plain != nil:
		latent := RelL2(r.latent, q.plain.latent)
		row.LatentError = &latent
		if q.o.Dims == nil {
			video := PSNR(r.video, q.plain.video)
			row.PSNR = &video
		}
	}
	if row.Layers, err = q.layers(ctx, r); err != nil {
		return err
	}
	p := r.prepared
	q.settings = QuantizationSettings{append(q.settings.Quant, kind.String()), p.Steps, p.Frames, p.Width, p.Height}
	q.rows = append(q.rows, row)
	q.results = append(q.results, &result{prepared: p, experts: r.experts, files: r.files})
	return q.extrapolate(kind, r, step, blocks)
}

// layers compares the layers of every expert that was quantised.
func (q *quantization) layers(ctx context.Context, r *result) (all []LayerError, err error) {
	if len(r.files) == 0 {
		return nil, nil
	}
	dev, err := q.o.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	for _, expert := range r.experts {
		var errs []LayerError
		err := q.store(&result{}, expert, func(source *weights.Store) error {
			if source.Quantised() != weights.Dense {
				return nil // there is nothing to compare with
			}
			return q.store(r, expert, func(quantised *weights.Store) (err error) {
				errs, err = layerErrors(ctx, dev, source, quantised)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
		if len(r.experts) > 1 {
			for i := range errs {
				errs[i].Layer = expert + "." + errs[i].Layer
			}
		}
		all = append(all, errs...)
	}
	return all, nil
}

// store calls f with the weights of an expert that r ran with.
func (q *quantization) store(r *result, expert string, f func(*weights.Store) error) error {
	if path := r.files[expert]; path != "" {
		store, err := weights.Open(path)
		if err != nil {
			return err
		}
		defer store.Close()
		return f(store)
	}
	layout, err := weights.OpenLayout(q.f.checkpoint)
	if err != nil {
		return err
	}
	defer layout.Close()
	return f(layout.Experts[expert].Store)
}

// extrapolate adds what the real model's layers would come to, where a few of them
// were run.
func (q *quantization) extrapolate(kind inference.Quant, r *result, step, blocks float64) error {
	d := q.o.Dims
	if !d.part() {
		return nil
	}
	inBlocks, err := q.blockBytes(r)
	if err != nil {
		return err
	}
	times := float64(realLayers) / float64(d.Layers)
	how := fmt.Sprintf("what lies in transformer blocks times %d/%d", realLayers, d.Layers)
	q.report.Totals = append(q.report.Totals,
		Total{fmt.Sprintf("%s: weights of an expert of %d layers", kind, realLayers),
			(float64(inBlocks)*times + float64(r.weights-inBlocks)) / 1e9, "GB", true, how},
		Total{fmt.Sprintf("%s: a step of %d layers", kind, realLayers), step - blocks + blocks*times, "s", true, how})
	return nil
}

// blockBytes returns the bytes of the tensors of transformer blocks.
func (q *quantization) blockBytes(r *result) (n int64, err error) {
	for _, expert := range r.experts {
		err := q.store(r, expert, func(s *weights.Store) error {
			for _, t := range s.Shapes() {
				if strings.HasPrefix(t.Name, "blocks.") {
					n += t.Bytes()
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (q *quantization) finish() {
	q.report.Rows, q.report.Settings = q.rows, q.settings
	s := q.settings
	main := Table{
		Title:  fmt.Sprintf("%d steps of %d frames of %dx%d", s.Steps, s.Frames, s.Width, s.Height),
		Header: []string{"weights", "size", "working memory", "quantising", "speed", "a step", "product", "rate of the first", "latent error", "video PSNR"},
	}
	var labels []string
	var weights []int64
	var steps []float64
	for _, r := range q.rows {
		quantising, rate := "-", "-"
		if r.QuantizeSeconds > 0 {
			quantising, rate = duration(r.QuantizeSeconds), number(r.QuantizeRate)+" GB/s"
		}
		main.Rows = append(main.Rows, []string{
			r.Quant, size(r.WeightBytes), size(r.WorkingBytes), quantising, rate,
			duration(r.StepSeconds), duration(r.ProductSeconds), number(r.ProductRatio), optional(r.LatentError, ""), optional(r.PSNR, " dB"),
		})
		labels = append(labels, r.Quant)
		weights, steps = append(weights, r.WeightBytes), append(steps, r.StepSeconds)
	}
	q.report.Tables = []Table{main}
	q.report.panels = []panel{sizes("weights", labels, weights), bars("a step (seconds)", labels, steps)}
	if layers, plot := q.layerTable(); len(layers.Rows) > 0 {
		q.report.Tables = append(q.report.Tables, layers)
		q.report.panels = append(q.report.panels, plot)
	}
	if q.plain == nil {
		q.report.Notes = append(q.report.Notes, "without none among the quant types there is nothing to compare latents with")
	}
	if q.o.Dims != nil {
		q.report.Notes = append(q.report.Notes, "errors are those of random normal weights; a trained model's are its own")
	}
}

func optional(v *float64, unit string) string {
	if v == nil {
		return "-"
	}
	return number(*v) + unit
}

// layerTable shows the mean and the worst error of each kind of layer.
func (q *quantization) layerTable() (Table, panel) {
	t := Table{Title: "error of a layer's product against the weights as they were (mean, worst)", Header: []string{"layer"}}
	p := panel{title: "mean error of a layer's product"}
	byKind := map[string][]string{} // the cells of each kind's line
	var order []string
	for _, row := range q.rows {
		if len(row.Layers) == 0 {
			continue
		}
		t.Header = append(t.Header, row.Quant)
		p.labels = append(p.labels, row.Quant)
		errs := map[string][]float64{}
		var sum float64
		for _, l := range row.Layers {
			if _, seen := byKind[l.kind()]; !seen {
				byKind[l.kind()] = nil
				order = append(order, l.kind())
			}
			errs[l.kind()] = append(errs[l.kind()], l.Error)
			sum += l.Error
		}
		for kind, all := range errs {
			byKind[kind] = append(byKind[kind], number(mean(all))+", "+number(slices.Max(all)))
		}
		if len(p.series) == 0 {
			p.series = []series{{}}
		}
		p.series[0].values = append(p.series[0].values, sum/float64(len(row.Layers)))
	}
	slices.Sort(order)
	for _, kind := range order {
		t.Rows = append(t.Rows, append([]string{kind}, byKind[kind]...))
	}
	return t, p
}

func mean(values []float64) (m float64) {
	for _, v := range values {
		m += v / float64(len(values))
	}
	return m
}
