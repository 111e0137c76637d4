import { expect } from 'chai'
import fc from 'fast-check'
import { AgingMap, Roster, type Rostered, TurnoverMap } from '../src/index.js'

class Guest implements Rostered {
  place = -1
  readonly name: number

  constructor(name: number) {
    this.name = name
  }
}

const namesIn = (roster: Roster<Guest>): number[] => [...roster].map(({ name }) => name).sort((a, b) => a - b)

describe('Roster', () => {
  it('has those that came and have not left, as a set has', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9))), (steps) => {
        const guests = Array.from({ length: 10 }, (_, name) => new Guest(name))
        const roster = new Roster<Guest>()
        const model = new Set<number>()
        for (const [comes, name] of steps) {
          // Nobody comes twice; whoever is not in may leave all the same.
          if (comes && model.has(name)) continue
          const change = comes ? 'add' : 'delete'
          roster[change](guests[name] as Guest)
          model[change](name)
          expect(roster.size).to.equal(model.size)
        }
        expect(namesIn(roster)).to.deep.equal([...model].sort((a, b) => a - b))
      }),
    )
  })

  it('leaves a guest of another roster alone', () => {
    const [here, there] = [new Roster<Guest>(), new Roster<Guest>()]
    const [ours, theirs] = [new Guest(1), new Guest(2)]
    here.add(ours)
    there.add(theirs)
    here.delete(theirs)
    expect([namesIn(here), namesIn(there)]).to.deep.equal([[1], [2]])
  })

  it('shows everybody once while they leave, but for those that have left before', () => {
    const roster = new Roster<Guest>()
    const guests = [0, 1, 2, 3].map((name) => new Guest(name))
    for (const guest of guests) roster.add(guest)
    const seen: number[] = []
    for (const guest of roster) {
      seen.push(guest.name)
      roster.delete(guest)
      if (guest.name === 1) roster.delete(guests[2] as Guest)
    }
    expect(seen).to.deep.equal([0, 1, 3])
    expect(roster.size).to.equal(0)
  })
})

describe('the list of a Roster', () => {
  it('keeps those that leave after it was made', () => {
    const roster = new Roster<Guest>()
    const guests = [0, 1, 2].map((name) => new Guest(name))
    for (const guest of guests) roster.add(guest)
    const list = roster.list()
    roster.delete(guests[0] as Guest)
    expect(list).to.deep.equal(guests)
    expect(roster.list().map(({ name }) => name)).to.have.members([1, 2])
  })
})

describe('TurnoverMap', () => {
  it('answers as a map does', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9), fc.nat())), (steps) => {
        const map = new TurnoverMap<number, { readonly at: number }>()
        const model = new Map<number, { readonly at: number }>()
        for (const [sets, key, at] of steps) {
          if (sets) {
            map.set(key, { at })
            model.set(key, { at })
          } else {
            map.delete(key)
            model.delete(key)
          }
          expect([map.has(key), map.get(key)?.at]).to.deep.equal([model.has(key), model.get(key)?.at])
        }
        expect([...map.values()]).to.deep.equal([...model.values()])
        expect(map.size).to.equal(model.size)
      }),
    )
  })

  it('leaves out what is deleted while its values are walked through', () => {
    const map = new TurnoverMap<number, { readonly at: number }>()
    for (const at of [0, 1, 2, 3]) map.set(at, { at })
    const seen: number[] = []
    for (const { at } of map.values()) {
      seen.push(at)
      map.delete(at)
      map.delete(2)
    }
    expect(seen).to.deep.equal([0, 1, 3])
  })
})

describe('AgingMap', () => {
  const changes: Record<string, (map: AgingMap<number, number>, model: Map<number, number>) => void> = {}
  for (const key of [0, 1, 2, 3, 4, 5, 6, 7]) {
    changes[`set ${key}`] = (map, model) => {
      model.delete(key)
      model.set(key, model.size)
      map.set(key, model.size - 1)
    }
    changes[`delete ${key}`] = (map, model) => {
      expect(map.delete(key)).to.equal(model.delete(key))
    }
  }
  changes.takeOldest = (map, model) => {
    const [oldest] = model
    if (oldest !== undefined) model.delete(oldest[0])
    expect(map.takeOldest()).to.equal(oldest?.[1])
  }

  it('gives up what was set before all others, whatever was deleted and set anew', () => {
    const names = fc.constantFrom(...Object.keys(changes), 'takeOldest', 'takeOldest', 'takeOldest')
    fc.assert(
      fc.property(fc.array(names, { maxLength: 200 }), (steps) => {
        const map = new AgingMap<number, number>()
        const model = new Map<number, number>()
        for (const step of steps) changes[step]?.(map, model)
        for (const key of [0, 1, 2, 3, 4, 5, 6, 7]) expect(map.get(key)).to.equal(model.get(key))
        expect(map.size).to.equal(model.size)
      }),
    )
  })
})
