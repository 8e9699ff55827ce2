package weights

// spieceTensor is a text encoder's SentencePiece model, in its own file.
const spieceTensor = "spiece_model"
