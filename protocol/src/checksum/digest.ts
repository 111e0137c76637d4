/** Running digests of an object's body, in the algorithms that S3 names. */
import { createHash, hash } from 'node:crypto'
import { crc32 as nativeCrc32, crc32c as nativeCrc32c } from '@node-rs/crc32'
import { createXXHash3, createXXHash64, createXXHash128, type IHasher } from 'hash-wasm'
import type { ChecksumAlgorithm } from '../messages/object.js'
import { Crc64Nvme } from './crc64.js'

/** Algorithms a body can be digested with while it flows. */
export type DigestAlgorithm = ChecksumAlgorithm

/** A running digest. Once `digest` was called it must not be used again. */
export interface Digest {
  update(bytes: Uint8Array): void
  /** Raw bytes, big endian for CRCs, as S3 encodes them in base64. */
  digest(): Uint8Array
}

/** One WASM instance of an algorithm serves all its running digests, since each call runs synchronously. */
const xxhash64 = await createXXHash64()
const xxhash3 = await createXXHash3()
const xxhash128 = await createXXHash128()

/** Swaps the digest's state into the shared instance and out again. */
function createShared(hasher: IHasher): Digest {
  hasher.init()
  let state = hasher.save()
  return {
    update(bytes: Uint8Array): void {
      hasher.load(state)
      hasher.update(bytes)
      state = hasher.save()
    },
    digest(): Uint8Array {
      hasher.load(state)
      return hasher.digest('binary')
    },
  }
}

function createCrc(step: (bytes: Buffer, initial?: number) => number): Digest {
  let value = 0
  return {
    update(bytes: Uint8Array): void {
      value = step(bytes as Buffer, value)
    },
    digest(): Uint8Array {
      const out = Buffer.alloc(4)
      out.writeUInt32BE(value >>> 0)
      return out
    },
  }
}

function createCrypto(name: 'md5' | 'sha1' | 'sha256' | 'sha512'): Digest {
  const state = createHash(name)
  return {
    update(bytes: Uint8Array): void {
      state.update(bytes)
    },
    digest: () => state.digest(),
  }
}

const CREATE: Record<DigestAlgorithm, () => Digest> = {
  MD5: () => createCrypto('md5'),
  SHA1: () => createCrypto('sha1'),
  SHA256: () => createCrypto('sha256'),
  CRC32: () => createCrc(nativeCrc32),
  CRC32C: () => createCrc(nativeCrc32c),
  SHA512: () => createCrypto('sha512'),
  CRC64NVME: () => new Crc64Nvme(),
  XXHASH64: () => createShared(xxhash64),
  XXHASH3: () => createShared(xxhash3),
  XXHASH128: () => createShared(xxhash128),
}

/** Starts a digest. */
export function createDigest(algorithm: DigestAlgorithm): Digest {
  return CREATE[algorithm]()
}

const ONE_SHOT: Partial<Record<DigestAlgorithm, string>> = {
  MD5: 'md5',
  SHA1: 'sha1',
  SHA256: 'sha256',
  SHA512: 'sha512',
}

/** Digest of bytes that are at hand as a whole: cheaper than a running one for small bodies. */
export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): Uint8Array {
  const name = ONE_SHOT[algorithm]
  // Bytes by way of a string: memory of their own would cost more than the copy.
  if (name !== undefined) return Buffer.from(hash(name, bytes, 'binary'), 'binary')
  const digest = createDigest(algorithm)
  digest.update(bytes)
  return digest.digest()
}
