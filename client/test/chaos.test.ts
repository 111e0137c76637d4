import { expect } from 'chai'
import { toBytes } from '../src/index.js'
import { codeOf, createWorld, inChunks, patternBytes, type World } from './world/world.js'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 20261121)
const WORKERS = 4
const ROUNDS = 25

/** What a key may hold: acknowledged last, or attempted since with an unknown outcome. */
interface KeyModel {
  readonly allowed: Set<number>
  isUncertain: boolean
}

/** Content `0` is absence. */
function contentOf(seed: number): Buffer {
  return patternBytes((seed * 7919) % 300_000, seed)
}

async function readSeed(world: World, key: string, model: KeyModel): Promise<number | undefined> {
  try {
    const opened = await world.client.openObject('b', key)
    const bytes = Buffer.from(await toBytes(opened.read()))
    return [...model.allowed].find((seed) => seed > 0 && contentOf(seed).equals(bytes)) ?? -1
  } catch (error) {
    const code = await codeOf(Promise.reject(error))
    if (code === 'NoSuchKey') return 0
    return undefined
  }
}

async function work(world: World, worker: number): Promise<Map<string, KeyModel>> {
  const models = new Map<string, KeyModel>()
  for (let round = 1; round <= ROUNDS; round++) {
    const key = `w${worker}-${Math.floor(world.random.fraction() * 3)}`
    const model = models.get(key) ?? { allowed: new Set([0]), isUncertain: false }
    models.set(key, model)
    if (world.random.fraction() < 0.4) await readOnce(world, key, model)
    else await putOnce(world, key, model, worker * 1000 + round)
  }
  return models
}

async function readOnce(world: World, key: string, model: KeyModel): Promise<void> {
  const seed = await readSeed(world, key, model)
  if (seed !== undefined) expect([...model.allowed], key).to.include(seed)
}

async function putOnce(world: World, key: string, model: KeyModel, seed: number): Promise<void> {
  const body = world.random.fraction() < 0.5 ? contentOf(seed) : inChunks(contentOf(seed), world.random)
  const code = await codeOf(world.client.putObject('b', key, body))
  if (code === 'none' && !model.isUncertain) model.allowed.clear()
  if (code === 'OutcomeUnknown') model.isUncertain = true
  if (code === 'none' || code === 'OutcomeUnknown') model.allowed.add(seed)
}

/** One fault at a time, so that a quorum of drives can be reached. */
async function disturb(world: World, until: { done: boolean }): Promise<void> {
  const { random, network, clock } = world
  const pause = (limitMs: number): Promise<void> =>
    new Promise((resolve) => clock.setTimer(random.fraction() * limitMs, resolve))
  while (!until.done) {
    await pause(60)
    const names = ['metadata', ...world.servers.map(({ drive }) => drive)]
    const name = names[Math.floor(random.fraction() * names.length)] ?? 'metadata'
    const kind = Math.floor(random.fraction() * 4)
    if (kind === 0) network.dropConnections('client', name)
    if (kind === 1) network.loseNext(name, 'client')
    if (kind < 2) continue
    const heal = kind === 2 ? network.hold(name, 'client') : network.partition('client', name, 'break')
    await pause(400)
    heal()
  }
}

describe('a client whose connections break, hang and lose answers', () => {
  for (let seed = SEED; seed < SEED + 6; seed++) {
    it(`never loses an acknowledged write and never reads wrong bytes (seed ${seed})`, async () => {
      const world = await createWorld({ seed, delayMsMax: 1 })
      const until = { done: false }
      const disturbing = disturb(world, until)
      const workers = Array.from({ length: WORKERS }, (_, worker) => work(world, worker))
      const models = await world.run(Promise.all(workers))
      until.done = true
      await world.run(disturbing)
      await world.clock.advance(20_000)
      for (const [key, model] of models.flatMap((each) => [...each])) {
        expect([...model.allowed], key).to.include(await world.run(readSeed(world, key, model)))
      }
      await world.run(world.client.close())
    })
  }
})
