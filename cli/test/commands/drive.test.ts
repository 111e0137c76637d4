import { expect } from 'chai'
import { drive, isAtRest, node, rebalance } from '../../src/commands/drive.js'
import { describeGroups, describeMoves } from '../../src/commands/status.js'
import { ConfigError } from '../../src/config.js'
import { exitStatusOf } from '../../src/exit-status.js'
import { withAdminServer } from './admin-server.js'

const REST = {
  rebalancing: false,
  positionsMoving: 0,
  positionsLeft: 0,
  positionsMoved: 0,
  movingMs: 0,
  straysDeleted: 0,
}

const DRIVE = { id: 'd1', server: 's1', state: 'draining', path: '/' }

/** A status of a cluster that is at rest. */
const AT_REST = { safeMode: false, coordinator: 'm1', drives: [], moves: REST }

describe('what moves', () => {
  it('is shown with its rate and the time it still takes', () => {
    const moves = { ...REST, positionsMoving: 256, positionsLeft: 100, positionsMoved: 50, movingMs: 10_000 }
    expect(describeMoves(moves)).to.deep.equal([
      'moving: 50 groups moved, 100 to move, 256 now; 5.00 a second, 20 s to go',
    ])
    expect(describeMoves({ ...moves, positionsMoved: 0 })[0]).to.not.include('to go')
  })

  it('is nothing at rest, and a reason where it is stuck', () => {
    expect(describeMoves(REST)).to.deep.equal([])
    expect(describeMoves({ ...REST, stuck: 'too few' })).to.deep.equal(['nothing moves: too few'])
    expect(isAtRest(AT_REST)).to.equal(true)
    expect(isAtRest({ ...AT_REST, moves: { ...REST, stuck: 'too few' } })).to.equal(false)
    expect(isAtRest({ ...AT_REST, moves: { ...REST, rebalancing: true } })).to.equal(false)
  })

  it('is not at rest while nothing can have begun: in safe mode, without a coordinator, before it has planned', () => {
    const { coordinator: _, ...alone } = AT_REST
    expect(isAtRest({ ...AT_REST, safeMode: true })).to.equal(false)
    expect(isAtRest(alone)).to.equal(false)
    const wanted = { ...DRIVE, drain: true, positions: 9 }
    expect(isAtRest({ ...AT_REST, drives: [wanted] })).to.equal(false)
    expect(isAtRest({ ...AT_REST, drives: [{ ...wanted, positions: 0 }] })).to.equal(true)
    expect(isAtRest({ ...AT_REST, drives: [{ ...wanted, drain: false }] })).to.equal(true)
  })

  it('is counted for each drive', () => {
    expect(describeGroups({ ...DRIVE, positions: 4 })).to.equal('; 4 groups')
    expect(describeGroups({ ...DRIVE, positions: 4, joining: 2, leaving: 1 })).to.equal(
      '; 4 groups, 2 joining, 1 leaving',
    )
  })
})

describe('a wish', () => {
  const OPTIONS = { json: true, force: false, wait: false, waitSeconds: 1 }
  const accept = (act: typeof drive, words: string, asked: string[] = []) =>
    withAdminServer({ action: 'taken' }, (config) => act(config, words.split(' '), OPTIONS), asked)

  it('for a node or a drive is one request', async () => {
    const asked: string[] = []
    const { text } = await accept(drive, 'add d/1', asked)
    expect(JSON.parse(text)).to.deep.equal({ action: 'taken' })
    await accept(node, 'add s1', asked)
    await accept(drive, 'replace d1 d2', asked)
    await accept(node, 'replace s1 s2', asked)
    expect(asked).to.deep.equal([
      'POST drives?action=add&drive=d%2F1&force=false',
      'POST nodes?action=add&node=s1&force=false',
      'POST drives?action=replace&drive=d1&by=d2&force=false',
      'POST nodes?action=replace&node=s1&by=s2&force=false',
    ])
  })

  it('that is none is a mistake, and one without a name tells how a new folder or server joins', async () => {
    for (const words of ['add', 'add a b', 'replace a', 'replace a b c', 'drain', 'list a', 'melt a']) {
      const asked: string[] = []
      const refused = await accept(node, words, asked).catch((error: unknown) => error)
      expect(refused, words).to.be.instanceOf(ConfigError)
      expect(String(refused)).to.include('CAIRN_DRIVES')
      expect(asked).to.deep.equal([])
    }
  })
})

describe('--wait', () => {
  const OPTIONS = { json: false, force: false, wait: true, waitSeconds: 86_400 }
  const MOVED = { ...REST, positionsMoved: 9 }
  const MOVING = { ...REST, rebalancing: true, positionsLeft: 5 }

  it('ends when the metadata store takes no more writes: nothing moves any more', async () => {
    const answer = { ...AT_REST, moves: MOVING, storeTrouble: 'a commit has failed' }
    const errors = await withAdminServer(answer, (config) => {
      const waits = [drive(config, ['drain', 'd1'], OPTIONS), rebalance(config, [], OPTIONS)]
      return Promise.all(waits.map((wait) => wait.catch((error) => error)))
    })
    for (const error of errors) {
      expect(error).to.be.instanceOf(Error)
      expect(error.message).to.include('the metadata takes no writes: a commit has failed')
      expect(exitStatusOf(error)).to.equal(2)
    }
  })

  it('ends when nothing moves though it should, and says that it is not done', async () => {
    const answer = { ...AT_REST, moves: { ...MOVING, stuck: 'too few drives' } }
    const found = await withAdminServer(answer, (config) => rebalance(config, [], OPTIONS))
    expect(found).to.deep.equal({
      text: 'not done: 0 groups moved; nothing moves: too few drives',
      done: false,
    })
  })

  it('goes on when what stood in the way before the wish stands there no more', async () => {
    const before = { ...AT_REST, moves: { ...MOVING, stuck: 'too few drives' } }
    const course = [{}, before, before, { ...AT_REST, moves: MOVED }]
    const found = await withAdminServer(course, (config) => drive(config, ['drain', 'd1'], OPTIONS))
    expect(found).to.deep.equal({ text: 'done: 9 groups moved', done: true })
  })

  const BEGUN = { ...AT_REST, safeMode: true, drives: [{ ...DRIVE, drain: true, positions: 9 }] }
  /** The answer to the wish, then what is to be seen of it. */
  const EMPTIED = [{}, BEGUN, { ...AT_REST, moves: MOVED, drives: [{ ...DRIVE, drain: true, positions: 0 }] }]
  const TAKEN_BACK = [{}, BEGUN, { ...AT_REST, drives: [{ ...DRIVE, drain: false, positions: 9 }] }]

  it('ends once what is named is empty, or is not to be any more', async () => {
    const acts = { 'drain d1': drive, 'replace d1 d2': drive, 'drain s1': node }
    const waits = Object.entries(acts).map(([words, act]) =>
      Promise.all(
        [EMPTIED, TAKEN_BACK].map((course) =>
          withAdminServer(course, (config) => act(config, words.split(' '), OPTIONS)),
        ),
      ),
    )
    for (const [emptied, kept] of await Promise.all(waits)) {
      expect(emptied).to.deep.equal({ text: 'done: 9 groups moved', done: true })
      expect(kept).to.deep.equal({ text: 'not done: 0 groups moved', done: false })
    }
  })
})
