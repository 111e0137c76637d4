import { createDigest, type DigestAlgorithm } from '@cairn/protocol'
import { S3Error } from '../errors.js'
import { DOCUMENT_BOUNDS } from '../limits.js'
import type { OpenBodyOptions, OperationContext } from '../operations/types.js'

/**
 * A small body as a whole (an XML document), verified against every digest the client declared.
 * Throws `MaxMessageLengthExceeded` above `sizeBytesMax`, 1 MiB unless given.
 */
export async function readDocument(
  context: Pick<OperationContext, 'openBody'>,
  options: Pick<OpenBodyOptions, 'sizeBytesMax' | 'checksumOfObject'> = {},
): Promise<Buffer> {
  const sizeBytesMax = options.sizeBytesMax ?? DOCUMENT_BOUNDS.sizeBytesMax
  const { checksumOfObject = false } = options
  const { body, digests, seal } = context.openBody({
    checksumDefault: 'none',
    checksumOfObject,
    emptyWithoutLength: true,
  })
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of body) {
    sizeBytes += part.length
    if (sizeBytes > sizeBytesMax) throw new S3Error('MaxMessageLengthExceeded')
    parts.push(part)
  }
  const document = Buffer.concat(parts, sizeBytes)
  seal(digestsOf(document, ['MD5', ...digests]), sizeBytes)
  return document
}

function digestsOf(
  document: Uint8Array,
  algorithms: readonly DigestAlgorithm[],
): Partial<Record<DigestAlgorithm, Uint8Array>> {
  const digests: Partial<Record<DigestAlgorithm, Uint8Array>> = {}
  for (const algorithm of algorithms) {
    const digest = createDigest(algorithm)
    digest.update(document)
    digests[algorithm] = digest.digest()
  }
  return digests
}
