package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Limits on configuration files and the sizes in them.
const (
	maxConfig = 1 << 20
	maxSize   = 1 << 20
)

// WanConfig holds the sizes that an expert's config.json states.
type WanConfig struct {
	Dim       int     `json:"dim"`        // channels of the residual stream
	FFNDim    int     `json:"ffn_dim"`    // channels of the feed-forward's hidden layer
	FreqDim   int     `json:"freq_dim"`   // values of the timestep's sinusoid
	InDim     int     `json:"in_dim"`     // channels of the latent and its conditioning together
	OutDim    int     `json:"out_dim"`    // channels of the latent
	NumHeads  int     `json:"num_heads"`  // heads of an attention
	NumLayers int     `json:"num_layers"` // transformer blocks
	TextLen   int     `json:"text_len"`   // tokens of a text context, padding included
	Eps       float64 `json:"eps"`        // of all norms
}

// ConfigFile is the name of the file beside an expert's weights that states its sizes.
const ConfigFile = "config.json"

// WriteWanConfig writes an expert's config.json to path.
func WriteWanConfig(path string, c WanConfig) error {
	text, err := json.Marshal(struct {
		ModelType string `json:"model_type"`
		WanConfig
	}{"i2v", c})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o666)
}

// readWanConfig reads an expert's config.json. The error names every field that
// is missing or mistyped.
func readWanConfig(path string) (WanConfig, error) {
	values, err := readObject(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return WanConfig{}, &Error{path, "file", "none", "the expert's configuration (is the download complete?)"}
	}
	if err != nil {
		return WanConfig{}, err
	}
	if values.values["num_attention_heads"] != nil {
		return readDiffusersConfig(values)
	}
	var c WanConfig
	var modelType string
	var errs []error
	if err := values.read("model_type", &modelType, `"i2v"`); err != nil {
		errs = append(errs, err)
	} else if modelType != "i2v" {
		errs = append(errs, &Error{path, "model_type", fmt.Sprintf("%q", modelType), `"i2v"`})
	}
	for _, f := range []struct {
		name string
		to   *int
	}{
		{"dim", &c.Dim}, {"ffn_dim", &c.FFNDim}, {"freq_dim", &c.FreqDim}, {"in_dim", &c.InDim}, {"out_dim", &c.OutDim},
		{"num_heads", &c.NumHeads}, {"num_layers", &c.NumLayers}, {"text_len", &c.TextLen},
	} {
		errs = append(errs, values.readSize(f.name, f.to))
	}
	errs = append(errs, values.readEps(&c.Eps))
	return c, joinMissing(path, errs)
}

// joinMissing joins the errors about fields; if most of them miss theirs, the file is
// another one, and one error says so.
func joinMissing(path string, errs []error) error {
	const most = 4
	var missing []string
	for _, err := range errs {
		if e := (*Error)(nil); errors.As(err, &e) && e.Found == "none" {
			missing = append(missing, e.Field)
		}
	}
	if len(missing) > most {
		return &Error{path, "fields", "none called " + strings.Join(missing, ", "), "the configuration of an expert (is it another model's?)"}
	}
	return errors.Join(errs...)
}

// readSize reads a size of a model.
func (o object) readSize(name string, to *int) error {
	want := fmt.Sprintf("a whole number from 1 to %d", maxSize)
	if err := o.read(name, to, want); err != nil {
		return err
	}
	if *to < 1 || *to > maxSize {
		return &Error{o.path, name, fmt.Sprint(*to), want}
	}
	return nil
}

func (o object) readEps(to *float64) error {
	const want = "a positive number below 1"
	if err := o.read("eps", to, want); err != nil {
		return err
	}
	if !(*to > 0 && *to < 1) {
		return &Error{o.path, "eps", fmt.Sprint(*to), want}
	}
	return nil
}

// VAEConfig holds the statistics by which latents are normalised, one value per
// latent channel, and, optionally, how a latent looks: red, green and blue of each
// channel. vae_config.json states them for a VAE other than Wan2.1's.
type VAEConfig struct {
	LatentsMean []float32    `json:"latents_mean"`
	LatentsStd  []float32    `json:"latents_std"`
	RGBFactors  [][3]float32 `json:"latent_rgb_factors"`
	RGBBias     [3]float32   `json:"latent_rgb_bias"`

	// The same of the first latent frame, where it is coded otherwise.
	FirstRGBFactors [][3]float32 `json:"first_latent_rgb_factors"`
	FirstRGBBias    [3]float32   `json:"first_latent_rgb_bias"`
}

func readVAEConfig(path string) (*VAEConfig, error) {
	values, err := readObject(path, maxConfig)
	if err != nil {
		return nil, err
	}
	c := &VAEConfig{}
	err = errors.Join(
		values.read("latents_mean", &c.LatentsMean, "a list of numbers"),
		values.read("latents_std", &c.LatentsStd, "a list of positive numbers"),
	)
	err = errors.Join(err,
		readColours(values, "", &c.RGBFactors, &c.RGBBias, len(c.LatentsMean)),
		readColours(values, "first_", &c.FirstRGBFactors, &c.FirstRGBBias, len(c.LatentsMean)),
	)
	if err != nil {
		return nil, err
	}
	if len(c.LatentsMean) == 0 || len(c.LatentsMean) != len(c.LatentsStd) {
		return nil, &Error{path, "latents_std", plural(len(c.LatentsStd), "number"),
			fmt.Sprintf("as many as latents_mean has, %d, and at least one", len(c.LatentsMean))}
	}
	for i, s := range c.LatentsStd {
		if !(s > 0) {
			return nil, &Error{path, fmt.Sprintf("latents_std[%d]", i), fmt.Sprint(s), "a positive number"}
		}
	}
	return c, nil
}

// object is a JSON object of a file.
type object struct {
	path   string
	values map[string]json.RawMessage
}

func readObject(path string, limit int64) (object, error) {
	text, err := readSmall(path, limit)
	if err != nil {
		return object{}, err
	}
	return parseObject(path, text)
}

func parseObject(path string, text []byte) (object, error) {
	o := object{path: path}
	var mistyped *json.UnmarshalTypeError
	if err := json.Unmarshal(text, &o.values); errors.As(err, &mistyped) {
		return object{}, &Error{path, "contents", "a JSON " + mistyped.Value, "a JSON object"}
	} else if err != nil {
		if what, want := sniff(text); what != "" && !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
			return object{}, &Error{path, "contents", what, want}
		}
		return object{}, &Error{path, "contents", err.Error(), "a JSON object"}
	}
	return o, nil
}

// read decodes the member called name.
func (o object) read(name string, to any, want string) error {
	text, ok := o.values[name]
	if !ok || string(text) == "null" {
		return &Error{o.path, name, "none", want}
	}
	if err := json.Unmarshal(text, to); err != nil {
		return &Error{o.path, name, string(text), want}
	}
	return nil
}

// readColours reads how latents of so many channels look, if path says so.
func readColours(values object, prefix string, factors *[][3]float32, bias *[3]float32, channels int) error {
	key := prefix + "latent_rgb_factors"
	if values.values[key] == nil {
		return nil
	}
	err := errors.Join(
		values.read(key, factors, "a list of three numbers for each latent channel"),
		values.read(prefix+"latent_rgb_bias", bias, "three numbers"),
	)
	if err == nil && len(*factors) != channels {
		return &Error{values.path, key, plural(len(*factors), "row"), fmt.Sprintf("one for each of %d latent channels", channels)}
	}
	return err
}
