package weights

// huggingFaceText has the names of transformers' UMT5EncoderModel, which ComfyUI has, too.
var huggingFaceText = keyLayout{
	KindText,
	[]string{"encoder.final_layer_norm.weight", "encoder.block.0.layer.0.SelfAttention.q.weight", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"},
	// T5 of version 1.1, which has the same names, has position embeddings in the first layer only.
	[2]string{"encoder.block.1.layer.0.SelfAttention.q.weight", "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"},
	rules{
		{"shared", "token_embedding"},
		{"encoder.embed_tokens", "token_embedding"},
		{"encoder.final_layer_norm", "norm"},
		{"encoder.block.N.layer.0.layer_norm", "blocks.N.norm1"},
		{"encoder.block.N.layer.1.layer_norm", "blocks.N.norm2"},
		{"encoder.block.N.layer.0.SelfAttention.relative_attention_bias", "blocks.N.pos_embedding.embedding"},
		{"encoder.block.N.layer.0.SelfAttention", "blocks.N.attn"},
		{"encoder.block.N.layer.1.DenseReluDense.wi_0", "blocks.N.ffn.gate.0"},
		{"encoder.block.N.layer.1.DenseReluDense.wi_1", "blocks.N.ffn.fc1"},
		{"encoder.block.N.layer.1.DenseReluDense.wo", "blocks.N.ffn.fc2"},
	}.rename,
}

// llamaText has the names that llama.cpp gives to a T5 encoder in a GGUF file.
var llamaText = keyLayout{
	KindText,
	[]string{"token_embd.weight", "enc.blk.0.attn_q.weight", "enc.blk.0.attn_rel_b.weight"},
	[2]string{"enc.blk.1.attn_q.weight", "enc.blk.1.attn_rel_b.weight"},
	rules{
		{"token_embd", "token_embedding"},
		{"enc.output_norm", "norm"},
		{"enc.blk.N.attn_norm", "blocks.N.norm1"},
		{"enc.blk.N.ffn_norm", "blocks.N.norm2"},
		{"enc.blk.N.attn_rel_b", "blocks.N.pos_embedding.embedding"},
		{"enc.blk.N.attn_q", "blocks.N.attn.q"},
		{"enc.blk.N.attn_k", "blocks.N.attn.k"},
		{"enc.blk.N.attn_v", "blocks.N.attn.v"},
		{"enc.blk.N.attn_o", "blocks.N.attn.o"},
		{"enc.blk.N.ffn_gate", "blocks.N.ffn.gate.0"},
		{"enc.blk.N.ffn_up", "blocks.N.ffn.fc1"},
		{"enc.blk.N.ffn_down", "blocks.N.ffn.fc2"},
	}.rename,
}
