import type { ListObjectsRequest, ListObjectsResponse, SpaceId } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { listObjects } from '../../../src/core/listing/listing.js'
import { currentKey } from '../../../src/core/rows/keys.js'
import { VersionRow } from '../../../src/core/rows/rows.js'
import { Resolver } from '../../../src/core/versions/resolve.js'
import type { Put } from '../../../src/ports.js'
import { rejection } from '../../rejection.js'
import { NamespaceWorld, OWNER, seed } from '../namespace/namespace-world.js'

const BUCKET = 'listed'

interface Shown {
  readonly keys: string[]
  readonly prefixes: string[]
  readonly truncated: boolean
}

const byteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Returns how many rows the store has given since. */
function countRowsRead(world: NamespaceWorld): () => number {
  let rows = 0
  const read = world.store.read.bind(world.store)
  world.store.read = async (reads) => {
    const result = await read(reads)
    for (const one of result.results) rows += one.length
    return result
  }
  return () => rows
}

/** What one page should hold: the rule, read naively off the sorted keys. */
function naivePage(keys: readonly string[], request: Omit<ListObjectsRequest, 'bucket'>): Shown {
  const { prefix, delimiter, after, limit } = request
  const listed = [...keys]
    .sort(byteOrder)
    .filter((key) => key.startsWith(prefix) && byteOrder(key, after) > 0)
  const rolled = listed.map((key) => {
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    return { name: at < 0 ? key : key.slice(0, at + delimiter.length), isPrefix: at >= 0 }
  })
  const entries = rolled.filter(
    ({ name, isPrefix }, at) => rolled[at - 1]?.name !== name && !(isPrefix && name === after),
  )
  const page = entries.slice(0, limit)
  return {
    keys: page.filter(({ isPrefix }) => !isPrefix).map(({ name }) => name),
    prefixes: page.filter(({ isPrefix }) => isPrefix).map(({ name }) => name),
    truncated: limit > 0 && entries.length > limit,
  }
}

function shown({ objects, commonPrefixes, truncated }: ListObjectsResponse): Shown {
  return { keys: objects.map(({ key }) => key), prefixes: [...commonPrefixes], truncated }
}

/** Rows as puts write them, many at once. */
async function fill(
  world: NamespaceWorld,
  space: SpaceId,
  keys: readonly string[],
  deleteMarker = false,
): Promise<void> {
  const rowOf = (key: string): Put => ({
    key: currentKey(space, key),
    value: VersionRow.encode({
      seq: 1,
      op: world.op(),
      isNull: true,
      deleteMarker,
      modifiedMs: 7,
      sizeBytes: 3,
      etag: 'e',
      owner: OWNER,
      attributes: { storageClass: 'STANDARD', contentType: 'text/plain' },
      checksum: { algorithm: 'CRC32C', type: 'FULL_OBJECT', value: 'AAAAAA==' },
      parts: [],
      map: world.map(3),
      references: [],
      applied: [],
    }),
  })
  const proof = { keys: [currentKey(space, 'x')], carries: () => false }
  for (let at = 0; at < keys.length; at += 100) {
    const puts = keys.slice(at, at + 100).map(rowOf)
    await world.run(world.store.commit({ compares: [], puts, proof }))
  }
}

describe('listObjects', () => {
  let world: NamespaceWorld
  let space: SpaceId

  beforeEach(async () => {
    world = await NamespaceWorld.open(seed)
    space = await world.bucket(BUCKET)
  })

  const list = (request: Partial<ListObjectsRequest>): Promise<ListObjectsResponse> =>
    world.run(
      world.namespace.listObjects({
        bucket: BUCKET,
        prefix: '',
        delimiter: '',
        after: '',
        limit: 1000,
        ...request,
      }),
    )

  it(`gives the pages of a naive listing, whatever prefix, delimiter, marker and limit (seed ${seed})`, async () => {
    const random = createSeededRandom(seed)
    const below = (count: number) => Math.floor(random.fraction() * count)
    const alphabet = ['a', 'b', '/', '%', ' ', 'é', '\u{1f600}', '\uffee', '+']
    const word = (length: number) => Array.from({ length }, () => alphabet[below(alphabet.length)]).join('')
    const keys = [...new Set(Array.from({ length: 400 }, () => word(1 + below(5))))]
    await fill(world, space, keys)
    for (let run = 0; run < 400; run++) {
      const request = {
        prefix: word(below(2)),
        delimiter: below(3) === 0 ? '' : word(1 + below(2)),
        after: below(2) === 0 ? '' : (keys[below(keys.length)] ?? ''),
        limit: below(30),
      }
      if (below(3) === 0) request.after = request.prefix + word(1) + request.delimiter
      const page = shown(await list(request))
      expect(page, `seed ${seed} ${JSON.stringify(request)}`).to.deep.equal(naivePage(keys, request))
    }
  })

  it('walks through all pages without loss or repetition, and the last is not truncated', async () => {
    const keys = Array.from({ length: 300 }, (_, at) => `${at % 7}/${at}`)
    await fill(world, space, keys)
    for (const [delimiter, count] of [
      ['', 300],
      ['/', 7],
    ] as const) {
      for (const limit of [1, 7, 299, 300]) {
        const seen: string[] = []
        let page = await list({ delimiter, limit })
        seen.push(...shown(page).keys, ...shown(page).prefixes)
        while (page.truncated) {
          page = await list({ delimiter, limit, after: page.next })
          seen.push(...shown(page).keys, ...shown(page).prefixes)
        }
        expect(new Set(seen).size).to.equal(count)
        expect(seen.length).to.equal(count)
      }
    }
  })

  it('seeks behind a group of thousands of keys instead of scanning it', async () => {
    await fill(
      world,
      space,
      Array.from({ length: 5000 }, (_, at) => `0/${String(at).padStart(5, '0')}`),
    )
    await fill(world, space, ['1999#'])
    const rowsRead = countRowsRead(world)
    expect(shown(await list({ delimiter: '/', limit: 2 }))).to.deep.equal({
      keys: ['1999#'],
      prefixes: ['0/'],
      truncated: false,
    })
    expect(rowsRead()).to.be.lessThan(200)
  })

  it('hides delete markers and groups of nothing but markers', async () => {
    await fill(world, space, ['a', 'b/1', 'c/2'])
    await fill(world, space, ['a', 'b/1', 'b/2'], true)
    await fill(
      world,
      space,
      Array.from({ length: 3000 }, (_, at) => `b/${at + 10}`),
      true,
    )
    expect(shown(await list({ delimiter: '/', limit: 1 }))).to.deep.equal({
      keys: [],
      prefixes: ['c/'],
      truncated: false,
    })
  })

  it(`loses nothing where pages end early behind many rows (seed ${seed})`, async () => {
    const random = createSeededRandom(seed)
    const below = (count: number) => Math.floor(random.fraction() * count)
    const words = ['a', 'b', 'c', '/']
    const word = () => Array.from({ length: 1 + below(6) }, () => words[below(words.length)]).join('')
    const keys = [...new Set(Array.from({ length: 600 }, word))]
    const live = keys.filter(() => below(10) === 0)
    await fill(world, space, live)
    await fill(
      world,
      space,
      keys.filter((key) => !live.includes(key)),
      true,
    )
    const resolver = new Resolver(world.store)
    for (let run = 0; run < 400; run++) {
      const delimiter = ['', '/', 'b'][below(3)] ?? ''
      const request = { bucket: BUCKET, prefix: ['', 'a'][below(2)] ?? '', delimiter, limit: 1 + below(20) }
      const rowsMax = 1 + below(40)
      const seen: Shown = { keys: [], prefixes: [], truncated: false }
      let after = ''
      for (let pages = 0; pages === 0 || after !== ''; pages++) {
        expect(pages, 'pages').to.be.at.most(keys.length)
        const page = await world.run(listObjects(world.store, resolver, { ...request, after }, rowsMax))
        seen.keys.push(...shown(page).keys)
        seen.prefixes.push(...page.commonPrefixes)
        after = page.truncated ? page.next : ''
      }
      const whole = naivePage(live, { ...request, after: '', limit: live.length })
      expect(seen, `seed ${seed} ${JSON.stringify({ ...request, rowsMax })}`).to.deep.equal(whole)
    }
  })

  it('shows of each object what a reader of the whole row sees', async () => {
    await fill(world, space, ['k'])
    const { object } = await world.run(world.namespace.getObject({ bucket: BUCKET, key: 'k' }))
    const { key, modifiedMs, sizeBytes, etag, owner, checksum, attributes } = object
    const { value: _value, ...kind } = checksum ?? {}
    const { storageClass } = attributes
    const [listed] = (await list({})).objects
    expect(listed).to.deep.equal({ key, modifiedMs, sizeBytes, etag, owner, checksum: kind, storageClass })
  })

  it('is empty and not truncated at limit 0, and refuses more than a page', async () => {
    await fill(world, space, ['k'])
    expect(shown(await list({ limit: 0 }))).to.deep.equal({ keys: [], prefixes: [], truncated: false })
    expect((await rejection(list({ limit: 1001 }))).code).to.equal('InvalidArgument')
    expect((await rejection(list({ bucket: 'missing' }))).code).to.equal('NoSuchBucket')
  })

  it('takes markers beyond the end and of any length', async () => {
    await fill(world, space, ['k'])
    expect((await list({ after: 'z' })).objects).to.deep.equal([])
    expect((await list({ after: 'a'.repeat(5000) })).objects.length).to.equal(1)
    expect((await list({ prefix: 'k'.repeat(5000) })).objects).to.deep.equal([])
  })
})

describe('listVersions', () => {
  it('rolls versions and markers up at the delimiter and goes on behind the group', async () => {
    const world = await NamespaceWorld.open(seed)
    const space = await world.bucket(BUCKET, 'enabled')
    for (const key of ['a/1', 'a/1', 'a/2', 'b', 'b']) await world.put(BUCKET, space, key)
    await world.remove(BUCKET, 'b')
    const request = { bucket: BUCKET, prefix: '', delimiter: '/', afterKey: '', afterVersionId: '', limit: 2 }
    const first = await world.run(world.namespace.listVersions(request))
    expect(first).to.deep.include({ commonPrefixes: ['a/'], truncated: true, nextKey: 'b' })
    expect(first.versions.map(({ deleteMarker, isLatest }) => ({ deleteMarker, isLatest }))).to.deep.equal([
      { deleteMarker: true, isLatest: true },
    ])
    const { nextKey: afterKey, nextVersionId: afterVersionId } = first
    const second = await world.run(world.namespace.listVersions({ ...request, afterKey, afterVersionId }))
    expect(second).to.deep.include({ commonPrefixes: [], truncated: false })
    expect(second.versions.map(({ key, isLatest }) => ({ key, isLatest }))).to.deep.equal([
      { key: 'b', isLatest: false },
      { key: 'b', isLatest: false },
    ])
    const behindGroup = await world.run(world.namespace.listVersions({ ...request, afterKey: 'a/' }))
    expect(behindGroup.commonPrefixes).to.deep.equal([])
  })

  it('reads few rows of groups of thousands', async () => {
    const world = await NamespaceWorld.open(seed)
    const space = await world.bucket(BUCKET)
    const keys = Array.from({ length: 12_000 }, (_, at) => `${at % 4}/${at}`)
    await fill(world, space, [...keys, '1x', '9'])
    const request = { bucket: BUCKET, prefix: '', delimiter: '/', afterKey: '', afterVersionId: '', limit: 9 }
    const rowsRead = countRowsRead(world)
    const page = await world.run(world.namespace.listVersions(request))
    expect(page.commonPrefixes).to.deep.equal(['0/', '1/', '2/', '3/'])
    expect(page.versions.map(({ key }) => key)).to.deep.equal(['1x', '9'])
    expect(rowsRead()).to.be.lessThan(300)
  })

  it('refuses a version marker without a key marker', async () => {
    const world = await NamespaceWorld.open(seed)
    await world.bucket(BUCKET)
    const request = {
      bucket: BUCKET,
      prefix: '',
      delimiter: '',
      afterKey: '',
      afterVersionId: 'null',
      limit: 1,
    }
    expect((await rejection(world.run(world.namespace.listVersions(request)))).code).to.equal(
      'InvalidArgument',
    )
  })
})
