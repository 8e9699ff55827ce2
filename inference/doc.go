// Package inference holds the types that all of Gimbal shares, and nothing that computes:
// Job and Recipe (job.go), the one table of their settings (settings.go, by the kinds of
// value in setting.go), Event (event.go), Plan (plan.go), the errors that clients tell
// apart (errors.go) and the geometry of latents (geometry.go). The packages below it turn
// a Job into a video; nothing imports a package above its own in this list:
//
//	device        the seam to the machine: buffers and ten operations as values
//	  host        what every device does on the host's side
//	  mapped      files in memory, whose loss is an error
//	  devicetest  the suite that a device must pass
//	  profile     times what a device runs
//	cpu           the CPU device: the oracle, and the one that runs everywhere
//	output        what is written: whether it may be, whether there is room, in one step
//	nn            layers and working memory that all models share
//	weights       checkpoints: containers, tensor tables, formats, quantising
//	wan           the diffusion transformer, one expert of it
//	vae           Wan 2.1's causal video VAE
//	taehv         a small decoder in its place
//	umt5          the text encoder
//	tokenizer     its vocabulary
//	noise         torch's random numbers
//	picture       pictures in files
//	  jpeg        JPEG to libjpeg-turbo's pixels
//	  tiff        TIFF, and the directories that EXIF shares with it
//	  picturetest small pictures of every kind, with their right pixels
//	video         frames to .mp4, contact sheets and PNG files
//	hub           models from Hugging Face's hub
//	runstate      a run on disk, after each step
//	clip          the size of a video and what controls its camera
//	keyframes     camera paths of key frames, to be edited
//	denoise       the loop over the schedule, solvers, guidance
//	plan          a device that counts; rates of devices; settings that fit
//	engine        opens models, plans and runs jobs
//	live          walks by causal models: input, pace, ways, their record
//	library       the runs that are done
//	service       jobs for several machines: a queue in NATS JetStream, workers, HTTP
//	queue         the runs that wait, and the one that runs
//	bench         measures all of that
//
// # Where to change what
//
//	another setting          a field of Job and a row of Settings, with its Use if it names a
//	                         file; the command line has it then,
//	                         and the window once a line places its entry
//	another solver           denoise: a file and a row of methods
//	another step cache       denoise: a file that implements Cache, and a setting
//	another key layout       weights: a file keys_NAME.go and a row of its adapters
//	another style of LoRA    weights: rows of lora_keys.go, and a kind of matrix in lora_change.go
//	another weight format    weights: a file and a row of its formats; device.Format, and a kernel
//	another container        weights: a file and a row of its containers
//	another kind of picture  picture: a row of its formats, and its files in testdata
//	another control          clip: a file control_NAME.go and a case of OpenControl
//	another model's tensors  its table in weights
//	another device           an implementation of device.Device that passes devicetest
//	another option for Fit   plan: a row of options in choose.go
//
// # Words
//
//	action folder    the reference's folder of a camera path or of keys: poses.npy, intrinsics.npy, action.npy
//	boundary         the share of the schedule from which the high-noise expert runs
//	checkpoint       experts, text encoder, tokenizer and VAE, in a folder or file by file
//	clip             a video to be, with its latent's size and its control
//	derived store    weights that were made from a checkpoint's, such as quantised ones
//	dry              without contents: a dry device counts what the code on it would take
//	expert           one of the two diffusion transformers: for high noise, for low noise
//	guidance         classifier-free guidance: the prompt against the negative prompt
//	latent           what the VAE makes of pictures: [channels, frames, rows, columns]
//	modulation       what the timestep does to a block: shift, scale and gate (AdaLN)
//	phase            a part of a run: text, picture, prepare, sample, decode
//	Plücker rays     a camera path as a model reads it: a ray per pixel
//	recipe           how a checkpoint wants to be sampled
//	run folder       what an unfinished run keeps on disk, VIDEO.run
//	shift            of the noise schedule: σ' = shift·σ / (1 + (shift-1)·σ)
//	store            an open set of tensors, memory-mapped
//	submission       operations that a device runs in one go, about a transformer block
//	token            a patch of the latent in the transformer; of a prompt, a piece of text
package inference
