// Blob transactions: the node wants the blobs with commitments and proofs; the chain keeps only the hashes.
import { ethers } from 'ethers';
import { loadKZG } from 'kzg-wasm';
import { call } from './contracts.mjs';

export async function blobs(t) {
  const kzg = await loadKZG();
  const blob = (fill) => { const b = new Uint8Array(131072); for (let i = 1; i < 4096; i += 32) b[i] = fill; return b; };
  for (let n = 1; n <= 3; n++) {
    const list = [];
    for (let i = 0; i < n; i++) {
      const data = blob(n * 10 + i);
      const hex = ethers.hexlify(data);
      const commitment = kzg.blobToKZGCommitment(hex), proof = kzg.computeBlobKZGProof(hex, commitment);
      list.push({ data: hex, commitment, proof });
    }
    await t.chain.send({ from: n, type: 3, to: t.at.transient, gasLimit: 300_000, data: call(t.c.Transient, 'sum', 3, '0x'), maxFeePerBlobGas: 10n ** 9n, blobs: list,
      blobVersionedHashes: list.map((b) => '0x01' + ethers.sha256(b.commitment).slice(4)) });
  }
}
