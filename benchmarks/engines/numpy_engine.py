"""No engine: floors. The value alone for the chains; for the ResNet the sweeps by hand, and their matrix products alone."""

import numpy as np

PARTS, NUMPY = ["numpy"], True


def scalar(f, inputs):
    return {"forward only": lambda: (f(np, *inputs), [None for _ in inputs])}


def gradient(network, params, X, C, labels):
    return {
        "by hand": at_first_call(lambda: ByHand(params, X, C).step),
        "products alone": at_first_call(lambda: ByHand(params, X, C).products_alone()),
    }


def at_first_call(build):
    """A step that is built when it is first called, as the compiled ones are."""
    step = None

    def call():
        nonlocal step
        step = step or build()
        return step()

    return call


class ByHand:
    """Value and gradient of the ResNet, everything in memory that is there from the start.

    The way back carries h times the cotangent and multiplies the weights by h instead: they are the smaller arrays.
    """

    def __init__(self, params, X, C):
        self.X, self.C, self.params = X, C, params
        self.h = np.float32(1 / len(params["K"]))
        empty = lambda: np.empty_like(X)
        self.zs = [X, *(empty() for _ in params["K"])]
        self.tanhs = [empty() for _ in params["K"]]
        self.u, self.g, self.uK = empty(), empty(), empty()
        self.S = np.empty_like(C)
        self.hK = [np.empty_like(K) for K in params["K"]]

    def step(self):
        top, total = self.forward()
        loss = (np.log(total).sum() + top.sum() - self.right) / len(self.X)
        self.S /= total
        self.S -= self.C
        self.S *= np.float32(1 / len(self.X))
        return loss, self.backward(self.S)

    def forward(self):
        """The scores' exponentials in S; their greatest before, and their sums."""
        params, h = self.params, self.h
        for K, b, z, a, after in zip(params["K"], params["b"], self.zs[:-1], self.tanhs, self.zs[1:], strict=True):
            np.matmul(z, K.T, out=a)
            np.add(a, b, out=a)
            np.tanh(a, out=a)
            np.multiply(a, h, out=after)
            np.add(after, z, out=after)
        S = np.matmul(self.zs[-1], params["A"].T, out=self.S)
        S += params["c"]
        self.right = np.vdot(S, self.C)
        top = S.max(axis=1, keepdims=True)
        S -= top
        np.exp(S, out=S)
        return top, S.sum(axis=1, keepdims=True)

    def backward(self, dS):
        params, u, g, uK = self.params, self.u, self.g, self.uK
        dK, db = [], []
        np.matmul(dS, params["A"], out=g)
        g *= self.h
        for k in reversed(range(len(self.tanhs))):
            a = self.tanhs[k]
            np.multiply(a, a, out=u)
            np.subtract(np.float32(1), u, out=u)
            np.multiply(u, g, out=u)
            dK.append(u.T @ self.zs[k])
            db.append(u.sum(axis=0))
            if k:
                np.matmul(u, np.multiply(params["K"][k], self.h, out=self.hK[k]), out=uK)
                np.add(g, uK, out=g)
        return {"K": dK[::-1], "b": db[::-1], "A": dS.T @ self.zs[-1], "c": dS.sum(axis=0)}

    def products_alone(self):
        """The products of a sweep, with the factors that they have there, so that they give the right gradient of K and A."""
        self.step()
        params, a, g, uK = self.params, self.tanhs[0].copy(), self.g, self.uK
        dS, us = self.S.copy(), self.cotangents()
        S, depth = self.S, len(us)
        dK = [np.empty_like(K) for K in params["K"]]
        dA = np.empty_like(params["A"])

        def products():
            for K, z in zip(params["K"], self.zs[:-1], strict=True):
                np.matmul(z, K.T, out=a)
            np.matmul(self.zs[-1], params["A"].T, out=S)
            np.matmul(dS.T, self.zs[-1], out=dA)
            np.matmul(dS, params["A"], out=g)
            for k in reversed(range(depth)):
                np.matmul(us[k].T, self.zs[k], out=dK[k])
                if k:
                    np.matmul(us[k], params["K"][k], out=uK)
            return None, {"K": dK, "b": [None] * depth, "A": dA, "c": None}

        return products

    def cotangents(self):
        """Those of all layers before their tanh, which `backward` does not keep."""
        us, g = [], self.h * (self.S @ self.params["A"])
        for a, K in zip(self.tanhs[::-1], self.params["K"][::-1], strict=True):
            us.insert(0, (1 - a * a) * g)
            g = g + us[0] @ (self.h * K)
        return us
