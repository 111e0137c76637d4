import { expect } from 'chai'
import {
  CairnError,
  CHECKSUM_ALGORITHMS,
  type ListedVersion,
  ListObjectsResponse,
  ListVersionsResponse,
} from '../../src/index.js'

const page = { commonPrefixes: ['p/'], truncated: true, next: 'é' }
const plain: ListedVersion = {
  key: 'k',
  modifiedMs: 1_800_000_000_000,
  sizeBytes: 0,
  etag: '',
  owner: '',
  storageClass: undefined,
  checksum: undefined,
  versionId: 'null',
  isLatest: false,
  deleteMarker: false,
}
const versions: readonly ListedVersion[] = [
  plain,
  { ...plain, key: 'ключ\n', owner: 'o'.repeat(300), sizeBytes: 2 ** 50 },
  { ...plain, owner: 'o'.repeat(300), isLatest: true, storageClass: 'STANDARD_IA' },
  { ...plain, owner: 'p', deleteMarker: true },
  { ...plain, etag: 'e'.repeat(32), isLatest: true, deleteMarker: true },
  ...CHECKSUM_ALGORITHMS.flatMap((algorithm): ListedVersion[] => [
    { ...plain, checksum: { algorithm, type: 'FULL_OBJECT' } },
    { ...plain, checksum: { algorithm, type: 'COMPOSITE' }, storageClass: '' },
  ]),
]
const objects = versions.map(
  ({ versionId: _id, isLatest: _latest, deleteMarker: _marker, ...object }) => object,
)

describe('the entries of a listing', () => {
  it('come back as they were', () => {
    const listed = { ...page, objects }
    expect(ListObjectsResponse.decode(ListObjectsResponse.encode(listed))).to.deep.equal(listed)
    const { next: nextKey, ...rest } = page
    const shown = { ...rest, nextKey, nextVersionId: 'v', versions }
    expect(ListVersionsResponse.decode(ListVersionsResponse.encode(shown))).to.deep.equal(shown)
  })

  it('may be none', () => {
    const listed = { ...page, objects: [] }
    expect(ListObjectsResponse.decode(ListObjectsResponse.encode(listed))).to.deep.equal(listed)
  })

  it('are refused when they end early', () => {
    const whole = ListObjectsResponse.encode({ ...page, objects })
    for (let size = 0; size < whole.length; size++) {
      expect(() => ListObjectsResponse.decode(whole.subarray(0, size)), `${size} bytes`)
        .to.throw(CairnError)
        .with.property('code', 'MessageCorrupt')
    }
  })

  it('are refused with a checksum of no known kind', () => {
    const [object] = objects
    const listed = {
      ...page,
      objects:
        object === undefined
          ? []
          : [{ ...object, checksum: { algorithm: 'CRC32', type: 'FULL_OBJECT' } as const }],
    }
    const encoded = Buffer.from(ListObjectsResponse.encode(listed))
    encoded[encoded.length - 1] = CHECKSUM_ALGORITHMS.length
    expect(() => ListObjectsResponse.decode(encoded))
      .to.throw(CairnError)
      .with.property('code', 'MessageCorrupt')
  })
})
