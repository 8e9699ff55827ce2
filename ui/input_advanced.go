package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/ui/desktop"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// advancedInput is the section of what most people leave as it is.
type advancedInput struct {
	tokens *part.Text // of the negative prompt
	view   *part.Disclosure
}

func newAdvancedInput(f *form) *advancedInput {
	a := &advancedInput{tokens: part.NewCaption("")}
	high, low := f.field("guidance_high"), f.field("guidance_low")
	pair := func(a, b fyne.CanvasObject) fyne.CanvasObject { return container.NewGridWithColumns(2, a, b) }
	content := part.Column(8,
		f.only(studio.FieldNegative, part.Column(8,
			part.Line(0, part.NewText(tr("negative_prompt")), part.Spread(part.Gap(0, 0)), a.tokens),
			f.textField(studio.FieldNegative).Entry, f.hint(studio.FieldNegative, columnWidth))),
		f.choice("sample_solver", "UniPC", "DPM++", "Euler"),
		f.only("guidance_high", part.Column(8,
			measures.Row(tr("guidance"), pair(high.Entry, low.Entry), f.hint("guidance_high", columnWidth-labelWidth)),
			part.Inset(-4, 0, labelWidth, 0, pair(part.NewCaption(tr("expert.high")), part.NewCaption(tr("expert.low")))),
			f.hint("guidance_low", columnWidth-labelWidth).Indented(labelWidth))),
		f.entry("high_steps"),
		f.entry("guidance_interval"),
		f.check("cfg_zero"),
		f.entry("cfg_zero_init"),
		f.entry("easycache"),
		f.entry("magcache"),
		f.entry("teacache"),
		f.entry("sample_shift"),
		f.entry("boundary"),
		f.entry("chunk_size"),
		f.entry("local_attn_size"),
		f.entry("sink_size"),
		f.entry("max_attention_size"),
		f.entry("timesteps_index"),
		f.check("even_jumps"),
		f.entry("camera_scale"),
		f.check("per_frame_intrinsics"),
		f.check("allow_act2cam"),
		f.entry("fps"),
		f.choice("noise_rng", "CUDA", "CPU"),
		f.choice("attention_dtype", "F32", "F16", "BF16"),
		f.entry("vae_chunk_size"),
		f.entry("vae_tile"),
		f.choice("decoder", tr("decoder.full"), tr("decoder.tiny")),
		f.row("decoder_path", part.Line(6, part.Spread(f.field("decoder_path").Entry), chooseDecoder(f.w))),
		f.check("offload_model"),
	)
	a.view = part.NewDisclosure(tr("advanced"), content)
	f.w.names["advanced"] = a.view.Button()
	return a
}

func (a *advancedInput) show(s studio.Snapshot) { showTokens(a.tokens, s.Form.NegativeTokens) }

// chooseDecoder asks for the file of a small decoder.
func chooseDecoder(w *Window) *widget.Button {
	b := widget.NewButton(tr("choose"), func() {
		panel := desktop.Panel{Kind: desktop.PickFile, Title: tr("decoder.choose"), Extensions: []string{"safetensors", "pth"}}
		w.pick(panel, func(path string) {
			w.studio.Edit("decoder_path", path)
			w.studio.Edit("decoder", inference.DecoderTiny)
		})
	})
	w.names["decoder.choose"] = b
	return b
}
