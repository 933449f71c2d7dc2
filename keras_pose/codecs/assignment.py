"""Pairing two sets of things at the least cost, on the host."""

import numpy as np


def cheapest_assignment(costs: np.ndarray) -> np.ndarray:
    """The column of each row, all different, for which the costs add up to the least.

    The Hungarian method as shortest augmenting paths (Jonker and Volgenant, 1987,
    https://doi.org/10.1007/BF02278710): O(n^3). Where rows mostly prefer different columns, one
    look at each row does.

    Args:
        costs: `(R, C)` finite floats.

    Returns:
        ints `(R,)`; -1 for rows that got none, where there are more rows than columns.
    """
    rows, columns = costs.shape
    if rows > columns:
        taken = np.full(rows, -1)
        taken[cheapest_assignment(costs.T)] = np.arange(columns)
        return taken
    costs = np.asarray(costs, np.float64)
    # What a row and a column cost in themselves: what is left of `costs` is never negative.
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    row_of, column_of = np.full(columns, -1), np.full(rows, -1)
    for row in range(rows):
        left = costs[row] - column_price
        free = np.flatnonzero((left == left.min()) & (row_of < 0))
        if len(free):
            row_price[row], column = left.min(), free[0]
            row_of[column], column_of[row] = row, column
        else:
            _augment(costs, row, row_price, column_price, row_of, column_of)
    return column_of


def _augment(costs, first, row_price, column_price, row_of, column_of):
    """Gives a row a column, and others theirs anew along the shortest path to a free column."""
    columns = len(column_price)
    reach, before = np.full(columns, np.inf), np.full(columns, -1)
    done = np.zeros(columns, bool)
    row, length = first, 0.0
    while True:
        left = length + costs[row] - row_price[row] - column_price
        shorter = ~done & (left < reach)
        reach[shorter], before[shorter] = left[shorter], row
        open_reach = np.where(done, np.inf, reach)
        length = open_reach.min()
        nearest = np.flatnonzero(open_reach == length)
        free = nearest[row_of[nearest] < 0]
        column = free[0] if len(free) else nearest[0]
        if len(free):
            break
        done[column] = True
        row = row_of[column]
    row_price[first] += length
    row_price[row_of[done]] += length - reach[done]
    column_price[done] -= length - reach[done]
    while column >= 0:
        row = before[column]
        row_of[column] = row
        # The column that the row had is free for the row before it on the path.
        column, column_of[row] = (-1 if row == first else column_of[row]), column
