// Package weights reads model weights, puts them on a device and quantises them. Files are
// memory-mapped and read lazily: a tensor is a view of the file's pages, so weights count
// as file cache and a checkpoint larger than memory can run. Files are not trusted: a bad
// one gives an Error that names the file, the field, what was found and what was expected.
//
// From a file to a device:
//
//   - A container (container.go; safetensors.go, sharded.go, torch.go, gguf.go) says where
//     the tensors lie in a file. Open takes any, by its content; the result is a Store.
//   - A key layout (keys.go; keys_diffusers.go, keys_text.go, keys_vae.go) turns a file's
//     names into those of the original checkpoints, with or without a prefix. OpenKind takes
//     one model out of a file that holds several.
//   - A Table (table.go; model_wan.go, model_umt5.go, model_vae.go) lists the tensors of a
//     model of given sizes: name, shape, role, and whether it is quantised. ReadWanSizes
//     and its like read the sizes that a checkpoint has; Dims are those of made-up models.
//   - A Format (format.go; format_dense.go, format_int8.go, format_nf4.go, format_fp8.go,
//     format_blocks.go) is how the weight of a linear layer is stored; its type and side
//     tensors beside it tell which. A Loader puts it on the device as it is, as a
//     device.Weight; Store.Rows widens rows of it on the host.
//
// A LoRA (lora.go; lora_keys.go names its keys' modules and parts, lora_change.go makes matrices
// of them) changes what a Loader loads: vectors by what is added to them, weights by products
// beside theirs.
//
// A checkpoint (layout.go, config.go, recipe.go) is a folder of parts in the original layout, or
// parts that are named or told by their contents (parts.go, named.go), such as ComfyUI's files;
// foreign.go says what files are that cannot be used. Find finds the folder in what disks make of
// it (find.go, folder.go). What is no file of weights is named (sniff.go, unfinished.go); what a
// file holds is looked at (contents.go, hub.go), and what of it nobody reads (unused.go).
// OpenQuantised
// (quantise.go) gives an expert's weights as a Quant says: those that the checkpoint has,
// or a derived file (derived.go), which is known by the fingerprint of the weights that it
// was made of and by its recipe, and made at first use, layer by layer, on all cores
// (encode.go and encode.c).
//
// To add
//
//   - another key layout: a file keys_NAME.go and an entry of keyLayouts, or a prefix;
//   - another weight format: a file format_NAME.go and an entry of formats (with plan and
//     encode if weights can be converted to it, and a kernel in the devices);
//   - another container: a file with its parse function and a row of containers;
//   - another model's tensors: a file model_NAME.go with its sizes and their Table.
package weights
