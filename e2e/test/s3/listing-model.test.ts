/** Listings against a naive model that looks at every key, with random keys. */
import { expect } from 'chai'
import { createSeeded, type Seeded } from '../../src/harness/seeded.js'
import { compare, listAll, makeBucketOf } from './support/listing.js'
import { encodeKey, type Identity } from './support/signing.js'
import { send } from './support/wire.js'
import { START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { texts } from './support/xml.js'

describe('listings against a model', () => {
  let world: World
  let server: Identity

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('listing-model')
    server = world.server
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  const bucketOf = (keys: readonly string[]) => makeBucketOf(world.s3, keys)

  const seeded = createSeeded()
  const ALPHABET = ['a', 'b', 'A', '/', '/', '-', ' ', '+', '%', '\u0001', 'é', '\uff5e', '\u{1f600}', '0']

  function randomText(random: Seeded, lengthMax: number): string {
    let made = ''
    for (let left = random.below(lengthMax) + 1; left > 0; left--) made += random.pick(ALPHABET)
    return made
  }

  interface Asked {
    readonly prefix: string
    readonly delimiter: string
    readonly after: string
    readonly version: 1 | 2
  }

  /** The group of a key, or `undefined` for a key that is listed by itself. */
  function groupOf(key: string, { prefix, delimiter }: Asked): string | undefined {
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    return at < 0 ? undefined : key.slice(0, at + delimiter.length)
  }

  /** What a listing must show, by looking at every key. */
  function expected(keys: readonly string[], asked: Asked): { keys: string[]; prefixes: string[] } {
    const found = keys.filter((key) => key.startsWith(asked.prefix) && compare(key, asked.after) > 0)
    const groups = new Set(found.map((key) => groupOf(key, asked)))
    // A marker that is a common prefix has been listed: all below it was, too. In version 1 also one within it.
    const isWithin = asked.version === 1 && asked.after.startsWith(asked.prefix)
    groups.delete(isWithin ? (groupOf(asked.after, asked) ?? asked.after) : asked.after)
    const prefixes = [...groups].filter((group) => group !== undefined)
    return { keys: found.filter((key) => groupOf(key, asked) === undefined), prefixes }
  }

  function randomMarker(keys: readonly string[]): string {
    return seeded.pick([() => '', () => randomText(seeded, 4), () => seeded.pick(keys)])()
  }

  function randomQuestion(keys: readonly string[]): Asked {
    const prefix = seeded.below(3) === 0 ? '' : seeded.pick(keys).slice(0, seeded.below(3))
    return {
      // Half a surrogate pair is no text that a request could carry.
      prefix: /[\ud800-\udfff]/u.test(prefix) ? '' : prefix,
      delimiter: seeded.pick(['', '/', '/', 'a', '//', 'é', '\u{1f600}']),
      after: randomMarker(keys),
      version: seeded.pick([1, 2] as const),
    }
  }

  async function checkQuestion(bucket: string, keys: readonly string[]): Promise<void> {
    const asked = randomQuestion(keys)
    const { prefix, delimiter, after, version } = asked
    const start = version === 2 ? 'start-after' : 'marker'
    const limit = seeded.below(20) + 1
    const parameters = {
      prefix,
      delimiter,
      'max-keys': String(limit),
      ...(after === '' ? {} : { [start]: after }),
    }
    const found = await listAll(server, bucket, parameters, version)
    const label = `v${version} ${JSON.stringify(parameters)}`
    const model = expected(keys, asked)
    expect(found.keys, label).to.deep.equal(model.keys)
    expect(found.prefixes, label).to.deep.equal(model.prefixes)
    for (const size of found.sizes.slice(0, -1)) expect(size, label).to.equal(limit)
  }

  it('agrees on random keys, prefixes, delimiters, markers and page sizes', async function () {
    this.timeout(120_000)
    process.stdout.write(`      seed ${seeded.seed}\n`)
    const keys = [...new Set(Array.from({ length: 150 }, () => randomText(seeded, 8)))].sort(compare)
    const bucket = await bucketOf(keys)
    for (let round = 0; round < 120; round++) await checkQuestion(bucket, keys)
  })

  it('reads back every key it lists without an encoding, as far as XML can carry them', async () => {
    const keys = ['<&>"\'', 'a\u0001b', 'tab\t', 'line\n', 'cr\r', 'é', '\u{1f600}', '%41', ' ']
    const bucket = await bucketOf(keys)
    const response = await send(server, { path: `/${bucket}` })
    expect(texts(response.text, 'Key')).to.deep.equal([...keys].sort(compare))
    for (const key of keys) {
      const got = await send(server, { method: 'HEAD', path: `/${bucket}/${encodeKey(key)}` })
      expect(got.status, JSON.stringify(key)).to.equal(200)
    }
  })
})
