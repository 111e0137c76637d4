import {
  type CairnError,
  type DeleteItem,
  formatId,
  hasCode,
  type OpId,
  type SpaceId,
  type VersioningState,
} from '@cairn/protocol'
import { expect } from 'chai'
import { currentKey, garbageRange, referenceRange } from '../../../src/core/rows/keys.js'
import { GarbageRow, VersionRow } from '../../../src/core/rows/rows.js'
import { ModelBucket, type ModelVersion } from './namespace-model.js'
import { NamespaceWorld, OWNER, seed } from './namespace-world.js'

const BUCKETS = ['alpha', 'beta']
const KEYS = ['a', 'a/', 'a/b', 'b\u{10000}', 'b\uffee']
const STEPS = 60
const LINE_FAULTS = ['lost-before', 'lost-after', 'late', undefined] as const

interface Birth {
  readonly id: OpId
  readonly space: SpaceId
  readonly key: string
}

/** An applied request that may be repeated, with the version id it answered. */
type Repeat = () => Promise<void>

/** Random operations on few keys, each followed by a comparison of everything with the model. */
class Run {
  readonly model = new Map<string, ModelBucket>()
  readonly births = new Map<string, Birth>()
  readonly repeats: Repeat[] = []
  readonly log: string[] = []
  readonly world: NamespaceWorld

  constructor(world: NamespaceWorld) {
    this.world = world
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('nothing to pick from')
    return items[Math.floor(this.world.random.fraction() * items.length)] as T
  }

  chance(probability: number): boolean {
    return this.world.random.fraction() < probability
  }

  /** Repeats what a bad line interrupted, as a client would: with the same op id. */
  async call<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < 50; attempt++) {
      try {
        return await this.world.run(work())
      } catch (error) {
        if (!hasCode(error, 'ConnectionLost', 'OutcomeUnknown', 'Busy')) throw error
      }
    }
    throw new Error('the line stays bad')
  }

  /** The next entries or reads meet a bad line. */
  disturb(): void {
    if (this.chance(0.2)) this.world.line.failReads(1)
    this.world.line.inject(this.pick(LINE_FAULTS), this.pick(LINE_FAULTS))
  }

  async step(): Promise<void> {
    if (this.chance(0.1)) this.world.clock.jumpWall((this.world.random.fraction() - 0.5) * 1e6)
    const name = this.pick(BUCKETS)
    const bucket = this.model.get(name)
    if (bucket === undefined) return this.createBucket(name)
    const roll = this.world.random.fraction()
    if (roll < 0.35) return this.put(name, bucket)
    if (roll < 0.55) return this.copy(name, bucket)
    if (roll < 0.67) return this.delete(name, bucket)
    if (roll < 0.85) return this.deleteVersion(name, bucket)
    if (roll < 0.9) return this.setVersioning(name, bucket)
    if (roll < 0.93) return this.deleteBucket(name, bucket)
    if (this.repeats.length > 0) await this.pick(this.repeats.slice(-12))()
  }

  async createBucket(name: string): Promise<void> {
    const op = this.world.op()
    const request = { op, bucket: name, owner: OWNER, region: 'r' }
    const { space } = await this.call(() => this.world.namespace.createBucket(request))
    this.log.push(`create ${name}`)
    this.model.set(name, new ModelBucket(space))
  }

  async put(name: string, bucket: ModelBucket): Promise<void> {
    const key = this.pick(KEYS)
    const sizeBytes = this.chance(0.2) ? 0 : 5
    const attempt = { route: 1, sinceMicros: 0 }
    const request = this.world.putRequest(name, bucket.space as SpaceId, key, { sizeBytes, attempt })
    const put = () => this.world.putSoon(request)
    const { versionId = 'null' } = await this.call(put)
    this.log.push(`put ${name} ${key} ${versionId}`)
    const { op } = request.context
    const map = sizeBytes === 0 ? '' : formatId(op)
    if (map !== '') this.births.set(map, { id: op, space: request.space, key })
    bucket.write(key, { versionId, deleteMarker: false, etag: request.etag, map })
    this.rememberRepeat(name, bucket, async () => (await this.call(put)).versionId ?? 'null', versionId)
  }

  async copy(name: string, bucket: ModelBucket): Promise<void> {
    const from = this.pick([...this.model.keys()])
    const versions = this.model.get(from)?.allVersions() ?? []
    if (versions.length === 0) return
    const source = this.pick(versions)
    const key = this.pick(KEYS)
    const named = this.chance(0.5) ? { versionId: source.versionId } : {}
    const current = this.model.get(from)?.current(source.key)
    const copied = 'versionId' in named ? source : current
    if (copied === undefined || copied.deleteMarker) return
    const from1 = { bucket: from, key: source.key, etag: copied.etag, ...named }
    const request = this.world.copyRequest(from1, name, key)
    const copy = () => this.world.namespace.copyObject(request)
    const { versionId = 'null' } = await this.call(copy)
    this.log.push(`copy ${from} ${source.key} ${copied.versionId} -> ${name} ${key} ${versionId}`)
    bucket.write(key, { versionId, deleteMarker: false, etag: copied.etag, map: copied.map })
    this.rememberRepeat(name, bucket, async () => (await this.call(copy)).versionId ?? 'null', versionId)
  }

  async deleteItem(bucket: string, item: DeleteItem): Promise<string> {
    const request = { bucket, owner: OWNER, items: [item] }
    for (let attempt = 0; attempt < 50; attempt++) {
      const { outcomes } = await this.call(() => this.world.namespace.deleteObjects(request))
      const code = outcomes[0]?.errorCode
      if (code === undefined) return outcomes[0]?.versionId ?? ''
      expect(code).to.be.oneOf(['ConnectionLost', 'OutcomeUnknown', 'Busy'])
    }
    throw new Error('the line stays bad')
  }

  async delete(name: string, bucket: ModelBucket): Promise<void> {
    const item = { op: this.world.op(), key: this.pick(KEYS) }
    const hadSome = bucket.current(item.key) !== undefined
    const versionId = await this.deleteItem(name, item)
    this.log.push(`delete ${name} ${item.key} ${versionId}`)
    if (bucket.versioning === 'unset') bucket.remove(item.key, 'null')
    else bucket.write(item.key, { versionId, deleteMarker: true, etag: '', map: '' })
    const isApplied = hadSome || bucket.versioning !== 'unset'
    if (isApplied) this.rememberRepeat(name, bucket, () => this.deleteItem(name, item), versionId)
  }

  async deleteVersion(name: string, bucket: ModelBucket): Promise<void> {
    const versions = bucket.allVersions()
    const target = versions.length > 0 && this.chance(0.9) ? this.pick(versions) : undefined
    if (target === undefined) {
      const missing = { op: this.world.op(), key: this.pick(KEYS), versionId: '0'.repeat(48) }
      expect(await this.deleteItem(name, missing)).to.equal('')
      return
    }
    const { versionId } = target
    const item = { op: this.world.op(), key: target.key, versionId }
    expect(await this.deleteItem(name, item)).to.equal(versionId)
    this.log.push(`delete ${name} ${item.key} version ${versionId}`)
    bucket.remove(item.key, versionId)
    this.rememberRepeat(name, bucket, () => this.deleteItem(name, item), versionId)
  }

  async setVersioning(name: string, bucket: ModelBucket): Promise<void> {
    const versioning: VersioningState = this.chance(0.6) ? 'enabled' : 'suspended'
    const request = { op: this.world.op(), bucket: name, versioning }
    await this.call(() => this.world.namespace.setBucketVersioning(request))
    this.log.push(`versioning ${name} ${versioning}`)
    bucket.versioning = versioning
  }

  async deleteBucket(name: string, bucket: ModelBucket): Promise<void> {
    const request = { op: this.world.op(), bucket: name }
    if (this.chance(0.5)) {
      for (const { key, versionId } of bucket.allVersions()) {
        await this.deleteItem(name, { op: this.world.op(), key, versionId })
        bucket.remove(key, versionId)
      }
    }
    const error = await this.call(() => this.world.namespace.deleteBucket(request)).catch(
      (e: CairnError) => e,
    )
    this.log.push(`delete bucket ${name}`)
    if (bucket.keys.size > 0) expect(hasCode(error, 'BucketNotEmpty'), String(error)).to.equal(true)
    else {
      expect(error).to.equal(undefined)
      this.model.delete(name)
    }
  }

  /** A repeat of an applied request answers the same and changes nothing. */
  rememberRepeat(name: string, bucket: ModelBucket, again: () => Promise<string>, first: string): void {
    const versioning = bucket.versioning
    this.repeats.push(async () => {
      if (this.model.get(name) !== bucket) return
      this.log.push(`repeat ${first}`)
      const answer = await again()
      if (bucket.versioning === versioning) expect(answer).to.equal(first)
    })
  }

  async check(): Promise<void> {
    for (const name of BUCKETS) {
      const bucket = this.model.get(name)
      if (bucket !== undefined) await this.checkBucket(name, bucket)
    }
    await this.checkMaps()
  }

  async checkBucket(name: string, bucket: ModelBucket): Promise<void> {
    const { namespace } = this.world
    for (const key of KEYS) {
      const current = bucket.current(key)
      const found = await this.call(() => namespace.getObject({ bucket: name, key })).catch(
        (e: CairnError) => e,
      )
      if (current === undefined || current.deleteMarker) {
        const details = current === undefined ? {} : { deleteMarker: 'true', versionId: current.versionId }
        expect(found).to.deep.include({ code: 'NoSuchKey', details })
      } else if ('object' in found) expect(found.object).to.include(seen(current))
      else throw found
    }
    const limit = 1 + Math.floor(this.world.random.fraction() * 6)
    expect(await this.listAll(name, limit)).to.deep.equal(bucket.listing())
    expect(await this.listAllVersions(name, limit)).to.deep.equal(
      bucket.allVersions().map(({ key, isLatest, ...version }) => ({ key, isLatest, ...seen(version) })),
    )
  }

  async listAll(bucket: string, limit: number): Promise<unknown[]> {
    const listed: unknown[] = []
    let after = ''
    while (true) {
      const request = { bucket, prefix: '', delimiter: '', after, limit }
      const page = await this.call(() => this.world.namespace.listObjects(request))
      listed.push(...page.objects.map(({ key, etag }) => ({ key, etag })))
      if (!page.truncated) return listed
      expect(page.objects.length).to.equal(limit)
      after = page.next
    }
  }

  async listAllVersions(bucket: string, limit: number): Promise<unknown[]> {
    const listed: unknown[] = []
    let [afterKey, afterVersionId] = ['', '']
    while (true) {
      const request = { bucket, prefix: '', delimiter: '', afterKey, afterVersionId, limit }
      const page = await this.call(() => this.world.namespace.listVersions(request))
      for (const { key, isLatest, versionId, deleteMarker, etag } of page.versions) {
        listed.push({ key, isLatest, versionId, deleteMarker, etag })
      }
      if (!page.truncated) return listed
      expect(page.versions.length).to.equal(limit)
      afterKey = page.nextKey
      afterVersionId = page.nextVersionId
    }
  }

  /** Every map of a visible version is live by the two point reads; every other one is dead and in the garbage. */
  async checkMaps(): Promise<void> {
    const used = new Set(
      [...this.model.values()].flatMap((bucket) => bucket.allVersions().map(({ map }) => map)),
    )
    const garbage = new Set<string>()
    const { results } = await this.call(() =>
      this.world.store.read([{ kind: 'scan', range: garbageRange(), limit: 10_000 }]),
    )
    for (const { value } of results[0] ?? []) {
      const { mapId } = GarbageRow.decode(value)
      if (mapId !== undefined) garbage.add(formatId(mapId))
    }
    for (const [map, birth] of this.births) {
      expect(await this.isLive(birth), `map ${map} is live`).to.equal(used.has(map))
      if (!used.has(map)) expect(garbage.has(map), `map ${map} is in the garbage`).to.equal(true)
    }
  }

  async isLive({ id, space, key }: Birth): Promise<boolean> {
    const { results } = await this.call(() =>
      this.world.store.read([
        { kind: 'get', key: currentKey(space, key) },
        { kind: 'scan', range: referenceRange(id), limit: 1 },
      ]),
    )
    const row = results[0]?.[0]
    const mapId = row === undefined ? undefined : VersionRow.decode(row.value).mapId
    return (mapId !== undefined && formatId(mapId) === formatId(id)) || (results[1]?.length ?? 0) > 0
  }
}

function seen({ versionId, deleteMarker, etag }: ModelVersion): Omit<ModelVersion, 'map'> {
  return { versionId, deleteMarker, etag }
}

async function runModel(ownSeed: number, faults: boolean): Promise<void> {
  const run = new Run(await NamespaceWorld.open(ownSeed))
  try {
    for (let step = 0; step < STEPS; step++) {
      if (faults) run.disturb()
      await run.step()
      await run.world.line.calm()
      await run.check()
    }
  } catch (error) {
    throw new Error(`seed ${ownSeed}: ${String(error)}\n${run.log.join('\n')}`, { cause: error })
  }
}

describe('Namespace against its model', function () {
  this.timeout(120_000)

  it(`looks like the model after every step, and no map is lost or leaked (seed ${seed})`, async () => {
    for (let run = 0; run < 60; run++) await runModel(seed + run, false)
  })

  it(`does so when entries, answers and reads get lost and are repeated (seed ${seed})`, async () => {
    for (let run = 0; run < 40; run++) await runModel(seed + run, true)
  })
})
